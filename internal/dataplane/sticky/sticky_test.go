package sticky

import (
	"bytes"
	"encoding/base64"
	"math"
	"strings"
	"sync"
	"testing"
)

var (
	keyA = strings.Repeat("a1", 32)
	keyB = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 32))
)

func parse(t testing.TB, file string) *Keys {
	t.Helper()
	k, err := ParseKeys([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealOpens(t *testing.T) {
	k := parse(t, keyA)
	for _, test := range []struct {
		scope  string
		target uint64
		issued int64
	}{
		{"api", TargetID("10.0.0.1:80"), 1_900_000_000},
		{"", 0, 0},
		{strings.Repeat("long", 1000), math.MaxUint64, math.MinInt64},
	} {
		value := k.AppendSeal([]byte("x="), test.scope, test.target, test.issued)
		text, ok := bytes.CutPrefix(value, []byte("x="))
		if !ok || len(text) != ValueLen {
			t.Fatalf("AppendSeal = %q, want %d bytes behind what was there", value, ValueLen)
		}
		if i := bytes.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune(cookieSafe, r) }); i >= 0 {
			t.Errorf("AppendSeal = %q, whose byte %d isn't for cookies", text, i)
		}
		target, issued, ok := k.Open(text, test.scope)
		if target != test.target || issued != test.issued || !ok {
			t.Errorf("Open(%q) = %d, %d, %v, want %d, %d", text, target, issued, ok, test.target, test.issued)
		}
	}
}

const cookieSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// The text is a promise to cookies out there: it must not change with a release.
func TestSealIsStable(t *testing.T) {
	const want = "ur1eZ8_3Dqqjohe-aekqoa1j9yCZAgH544gcOu3R7DIMEvTgpifa72RI5Eg"
	if got := parse(t, keyA).AppendSeal(nil, "api", 42, 1_900_000_000); string(got) != want {
		t.Errorf("AppendSeal = %q, want %q", got, want)
	}
	if got := TargetID("10.0.0.1:80"); got != 0x11facba8043b217 {
		t.Errorf("TargetID = %#x", got)
	}
}

// mustNotOpen checks that a value isn't opened, and that nothing of it comes out.
func mustNotOpen(t *testing.T, k *Keys, what string, value []byte, scope string) {
	t.Helper()
	if target, issued, ok := k.Open(value, scope); ok || target != 0 || issued != 0 {
		t.Errorf("Open of %s, %q = %d, %d, %v, want nothing", what, value, target, issued, ok)
	}
}

func TestWhatWasNotSealedIsNotOpened(t *testing.T) {
	k := parse(t, keyA)
	good := k.AppendSeal(nil, "api", 7, 1000)
	mustNotOpen(t, k, "another scope", good, "web")
	mustNotOpen(t, k, "an empty scope", good, "")
	mustNotOpen(t, k, "a longer scope", good, "api\x00")
	mustNotOpen(t, parse(t, keyB), "another key", good, "api")
	for n := range len(good) {
		mustNotOpen(t, k, "a part", good[:n], "api")
	}
	mustNotOpen(t, k, "one more byte", append(bytes.Clone(good), 'A'), "api")
	mustNotOpen(t, k, "padding", append(bytes.Clone(good), '='), "api")
	mustNotOpen(t, k, "twice", append(bytes.Clone(good), good...), "api")
	mustNotOpen(t, k, "a megabyte", bytes.Repeat([]byte("A"), 1<<20), "api")
	for at := range good {
		for _, b := range []byte(cookieSafe + "+/=\n\r\x00\xff ") {
			if b != good[at] {
				bad := bytes.Clone(good)
				bad[at] = b
				mustNotOpen(t, k, "a changed byte", bad, "api")
			}
		}
	}
}

func TestOldKeysOpen(t *testing.T) {
	old := parse(t, keyA)
	both := parse(t, keyB+"\n"+keyA)
	value := old.AppendSeal(nil, "api", 7, 1000)
	if target, _, ok := both.Open(value, "api"); !ok || target != 7 {
		t.Errorf("Open with the old key as second = %d, %v, want 7", target, ok)
	}
	fresh := both.AppendSeal(nil, "api", 7, 1000)
	if _, _, ok := parse(t, keyB).Open(fresh, "api"); !ok {
		t.Error("the first key of the file doesn't seal")
	}
	mustNotOpen(t, old, "the new key's", fresh, "api")
}

func TestNoncesDiffer(t *testing.T) {
	k := parse(t, keyA)
	seen := map[string]bool{}
	for i := range 100 {
		for _, scope := range []string{"a", "b"} {
			for _, value := range [][]byte{k.AppendSeal(nil, scope, uint64(i), 5), k.AppendSeal(nil, scope, 5, int64(i)+1000)} {
				seen[string(value[:nonceLen])] = true
			}
		}
	}
	if len(seen) != 400 {
		t.Errorf("400 contents have %d nonces", len(seen))
	}
}

func TestParseKeys(t *testing.T) {
	if _, err := ParseKeys([]byte("# x")); err == nil {
		t.Error("ParseKeys takes a file without a key")
	}
	if n := len(parse(t, keyB+"\n"+keyA).keys); n != 2 {
		t.Errorf("a file of two keys has %d", n)
	}
	if len(parse(t, string(GenerateKeys())).keys) != 1 {
		t.Error("GenerateKeys doesn't give one key")
	}
}

func TestNoAllocations(t *testing.T) {
	if raceOn {
		t.Skip("the race detector empties pools")
	}
	k := parse(t, keyB+"\n"+keyA)
	good := parse(t, keyA).AppendSeal(nil, "api", 7, 1000)
	forged := bytes.Clone(good)
	forged[3] ^= 1
	garbage := bytes.Repeat([]byte("!"), ValueLen)
	buf := make([]byte, 0, 100)
	for name, f := range map[string]func(){
		"AppendSeal":        func() { k.AppendSeal(buf, "api", 7, 1000) },
		"Open":              func() { k.Open(good, "api") },
		"Open of a forgery": func() { k.Open(forged, "api") },
		"Open of garbage":   func() { k.Open(garbage, "api") },
	} {
		if got := testing.AllocsPerRun(500, f); got != 0 {
			t.Errorf("%s allocates %v times", name, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	k := parse(t, keyA)
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			var buf []byte
			for i := range uint64(300) {
				buf = k.AppendSeal(buf[:0], "api", g<<32|i, int64(i))
				if target, issued, ok := k.Open(buf, "api"); !ok || target != g<<32|i || issued != int64(i) {
					t.Errorf("Open of what was sealed = %d, %d, %v", target, issued, ok)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	k := parse(f, keyB+"\n"+keyA)
	f.Add(k.AppendSeal(nil, "api", 7, 1000), "api")
	f.Add([]byte(strings.Repeat("A", ValueLen)), "api")
	f.Add([]byte(nil), "")
	f.Fuzz(func(t *testing.T, value []byte, scope string) {
		target, issued, ok := k.Open(value, scope)
		if !ok && (target != 0 || issued != 0) {
			t.Fatalf("Open(%q) = %d, %d without ok", value, target, issued)
		}
		// What opens is what is sealed, byte for byte: nothing else has that content.
		if ok && !bytes.Equal(value, k.AppendSeal(nil, scope, target, issued)) {
			t.Fatalf("Open(%q) takes what AppendSeal doesn't make", value)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(keyA + "\n# x\n" + keyB))
	f.Fuzz(func(t *testing.T, file []byte) {
		if k, err := ParseKeys(file); err == nil {
			if _, _, ok := k.Open(k.AppendSeal(nil, "s", 1, 2), "s"); !ok {
				t.Fatal("accepted keys don't open what they seal")
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k, buf := parse(b, keyA), make([]byte, 0, 100)
	b.ReportAllocs()
	for b.Loop() {
		k.AppendSeal(buf, "api", 7, 1000)
	}
}

func BenchmarkOpen(b *testing.B) {
	k := parse(b, keyA)
	value := k.AppendSeal(nil, "api", 7, 1000)
	b.ReportAllocs()
	for b.Loop() {
		k.Open(value, "api")
	}
}
