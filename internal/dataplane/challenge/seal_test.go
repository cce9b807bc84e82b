package challenge

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"sentinel/internal/testkit/race"
)

const fit = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func bind(host, prefix string) binding {
	return binding{[]byte(host), netip.MustParsePrefix(prefix)}
}

// TestTagIsHMAC computes a tag by the words of the format.
func TestTagIsHMAC(t *testing.T) {
	k := parse(t, keyA)
	text := k.appendSeal(nil, kindToken, bind("Shop.example:443", "192.0.2.0/24"), 7, start)
	raw, err := alphabet.DecodeString(string(text))
	if err != nil || len(raw) != 42 {
		t.Fatalf("appendSeal = %q: %v", text, err)
	}
	key, _ := hex.DecodeString(keyA)
	derived, _ := hkdf.Key(sha256.New, key, nil, "challenge 1", 36)
	mac := hmac.New(sha256.New, derived[:32])
	mac.Write(raw[:26])
	mac.Write([]byte{4, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 0})
	mac.Write([]byte("shop.example"))
	if !bytes.Equal(raw[26:], mac.Sum(nil)[:16]) {
		t.Error("the tag isn't the HMAC of what the format says")
	}
	if !bytes.Equal(raw[1:5], derived[32:]) {
		t.Error("the key id isn't the derived one")
	}
}

// The text is a promise to cookies out there: it must not change with a release.
func TestOldTokensOpen(t *testing.T) {
	const token = "A6WR0FoAAAAAAHFBBIG-GHcI0epulrvxBnLCLJADY_jjDHEo7KW0idmt"
	if !newChallenger(t, keyA).Verify([]byte(token), []byte("shop.example"), here, start) {
		t.Errorf("Verify(%q) is false", token)
	}
}

func TestOnlyWhatWasSealedOpens(t *testing.T) {
	k := parse(t, keyA)
	b := bind("a.example", "192.0.2.0/24")
	good := k.appendSeal(nil, kindToken, b, 3, start)
	if v, ok := k.open(good, kindToken, b); !ok || v.detail != 3 || v.time != start || v.tag == 0 {
		t.Fatalf("open = %+v, %v", v, ok)
	}
	must := func(what string, k *Keys, text []byte, kind kind, b binding) {
		t.Helper()
		if v, ok := k.open(text, kind, b); ok || v != (sealed{}) {
			t.Errorf("open of %s = %+v, %v, want nothing", what, v, ok)
		}
	}
	must("another kind", k, good, kindCheck, b)
	must("another key", parse(t, keyB), good, kindToken, b)
	for _, other := range []binding{
		bind("b.example", "192.0.2.0/24"), bind("", "192.0.2.0/24"), bind("a.example.", "192.0.2.0/24"),
		bind("a.example", "192.0.3.0/24"), bind("a.example", "192.0.2.0/25"), bind("a.example", "::ffff:192.0.2.0/120"),
	} {
		must("another binding", k, good, kindToken, other)
	}
	for n := range len(good) {
		must("a part", k, good[:n], kindToken, b)
	}
	must("one more byte", k, append(bytes.Clone(good), 'A'), kindToken, b)
	must("a megabyte", k, bytes.Repeat([]byte("A"), 1<<20), kindToken, b)
	for at := range good {
		for _, c := range []byte(fit + "+/=\n\r\x00\xff ") {
			if c != good[at] {
				bad := bytes.Clone(good)
				bad[at] = c
				must("a changed byte", k, bad, kindToken, b)
			}
		}
	}
}

func TestRotation(t *testing.T) {
	old, both, fresh := newChallenger(t, keyA), newChallenger(t, keyB+"\n"+keyA), newChallenger(t, keyB)
	ahead := newChallenger(t, keyA+"\n"+keyB) // knows the new key, doesn't seal with it yet
	host := []byte("shop.example")
	was := old.AppendToken(nil, host, here, start)
	is := both.AppendToken(nil, host, here, start)
	for _, test := range []struct {
		name  string
		c     *Challenger
		token []byte
		want  bool
	}{
		{"old by old", old, was, true},
		{"old by both", both, was, true},
		{"old by new", fresh, was, false},
		{"new by both", both, is, true},
		{"new by new", fresh, is, true},
		{"new by who is ahead", ahead, is, true},
		{"new by old", old, is, false},
	} {
		if got := test.c.Verify(test.token, host, here, start); got != test.want {
			t.Errorf("Verify of %s = %v, want %v", test.name, got, test.want)
		}
	}
}

func TestVerifyTimesAndPlaces(t *testing.T) {
	c := New(Options{TokenLife: 600}, parse(t, keyA), new(State))
	host := []byte("shop.example")
	six := netip.MustParseAddr("2001:db8:1:2::3")
	token4, token6 := c.AppendToken(nil, host, here, start), c.AppendToken(nil, host, six, start)
	for _, test := range []struct {
		name   string
		token  []byte
		host   string
		client string
		after  int64
		want   bool
	}{
		{"now", token4, "shop.example", "192.0.2.7", 0, true},
		{"to the end", token4, "shop.example", "192.0.2.7", 600, true},
		{"within the skew", token4, "shop.example", "192.0.2.7", 600 + SkewMax, true},
		{"past", token4, "shop.example", "192.0.2.7", 601 + SkewMax, false},
		{"a slow clock", token4, "shop.example", "192.0.2.7", -SkewMax, true},
		{"decades early", token4, "shop.example", "192.0.2.7", -start, false},
		{"a neighbour", token4, "shop.example", "192.0.2.254", 0, true},
		{"another network", token4, "shop.example", "192.0.3.7", 0, false},
		{"mapped", token4, "shop.example", "::ffff:192.0.2.7", 0, true},
		{"other host", token4, "shop2.example", "192.0.2.7", 0, false},
		{"host with port", token4, "sHop.example:8080", "192.0.2.7", 0, true},
		{"six", token6, "shop.example", "2001:db8:1:2:ffff::1", 0, true},
		{"six with a zone", token6, "shop.example", "2001:db8:1:2::3%eth0", 0, true},
		{"another six", token6, "shop.example", "2001:db8:1:3::3", 0, false},
		{"four for six", token4, "shop.example", "2001:db8:1:2::3", 0, false},
	} {
		if got := c.Verify(test.token, []byte(test.host), netip.MustParseAddr(test.client), start+test.after); got != test.want {
			t.Errorf("%s: Verify = %v, want %v", test.name, got, test.want)
		}
	}
	narrow := New(Options{Bits4: 32, TokenLife: 60}, parse(t, keyA), new(State))
	token := narrow.AppendToken(nil, host, here, start)
	if !narrow.Verify(token, host, here, start) || narrow.Verify(token, host, here.Next(), start) || narrow.Verify(token4, host, here, start) {
		t.Error("Bits4 of 32 doesn't tell neighbours apart")
	}
	if short := New(Options{TokenLife: 60}, parse(t, keyA), new(State)); !short.Verify(token4, host, here, start+599) {
		t.Error("a lower TokenLife takes a token away")
	}
}

func TestPassed(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/")
	four := cookie4 + "=" + string(c.AppendToken(nil, f.Host, here, start))
	six := netip.MustParseAddr("2001:db8::1")
	both := four + "; " + cookie6 + "=" + string(c.AppendToken(nil, f.Host, six, start))
	bad := cookie4 + "=" + strings.Repeat("A", TextLen)
	for _, test := range []struct {
		name   string
		client netip.Addr
		lines  []string
		want   bool
	}{
		{"none", here, nil, false},
		{"alone", here, []string{four}, true},
		{"among others", here, []string{"a=1; b", ";; ;" + four + " ;c"}, true},
		{"behind a bad one", here, []string{bad + "; " + four}, true},
		{"behind three bad ones", here, []string{bad, bad + ";" + bad, four}, true},
		{"behind four bad ones", here, []string{bad, bad, bad, bad, four}, false},
		{"another name", here, []string{"x" + four, "sentinel-pass" + four}, false},
		{"no value", here, []string{cookie4, cookie4 + "="}, false},
		{"of the other family", six, []string{four}, false},
		{"of both families", six, []string{both}, true},
		{"of both families, by the first", here, []string{both}, true},
	} {
		g := f.with(func(f *Facts) {
			f.Client = test.client
			for _, l := range test.lines {
				f.Cookies = append(f.Cookies, []byte(l))
			}
		})
		if got := c.Passed(g, start); got != test.want {
			t.Errorf("%s: Passed = %v, want %v", test.name, got, test.want)
		}
	}
}

func TestParseKeys(t *testing.T) {
	if _, err := ParseKeys([]byte("# x")); err == nil {
		t.Error("ParseKeys takes a file without a key")
	}
	if n := len(parse(t, keyB+"\n"+keyA).ids); n != 2 {
		t.Errorf("a file of two keys has %d", n)
	}
	if len(parse(t, string(GenerateKeys())).ids) != 1 {
		t.Error("GenerateKeys doesn't give one key")
	}
}

func TestNoAllocations(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector empties pools")
	}
	c := newChallenger(t, keyB+"\n"+keyA)
	f := visit("/x?y")
	good := newChallenger(t, keyA).AppendToken(nil, f.Host, here, start)
	forged := bytes.Clone(good)
	forged[40] ^= 1
	garbage := bytes.Repeat([]byte("!"), TextLen)
	withToken := f.with(func(f *Facts) { f.Cookies = [][]byte{append([]byte("a=b; "+cookie4+"="), good...)} })
	seed, _ := ask(t, c, f, start)
	form, sender := answer(t, seed, "%2Fx"), post(f)
	buf := make([]byte, 0, PageMax)
	for name, call := range map[string]func(){
		"Verify":              func() { c.Verify(good, f.Host, here, start) },
		"Verify of forgery":   func() { c.Verify(forged, f.Host, here, start) },
		"Verify of garbage":   func() { c.Verify(garbage, f.Host, here, start) },
		"Decide with token":   func() { c.Decide(policy, withToken, start) },
		"Decide for a page":   func() { c.Decide(policy, f, start) },
		"Respond, page":       func() { c.Respond(buf, f, Decision{Action: Page, Difficulty: 12, Wait: 5}, start) },
		"Respond, refusal":    func() { c.Respond(buf, f, Decision{Action: Refuse}, start) },
		"Answer":              func() { c.Answer(buf, sender, form, start) },
		"Answer, replayed":    func() { c.Answer(buf, sender, form, start+100) },
		"Answer with rubbish": func() { c.Answer(buf, sender, garbage, start) },
	} {
		if got := testing.AllocsPerRun(300, call); got != 0 {
			t.Errorf("%s allocates %v times", name, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/x")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				token := c.AppendToken(nil, f.Host, here, start)
				if !c.Verify(token, f.Host, here, start) {
					t.Error("a fresh token isn't good")
					return
				}
				d := c.Decide(policy, f, start)
				c.Respond(nil, f, d, start)
			}
		})
	}
	wg.Wait()
}

func BenchmarkVerify(b *testing.B) {
	c := newChallenger(b, keyA)
	host := []byte("shop.example")
	token := c.AppendToken(nil, host, here, start)
	b.ReportAllocs()
	for b.Loop() {
		c.Verify(token, host, here, start)
	}
}

func BenchmarkPage(b *testing.B) {
	c, f, buf := newChallenger(b, keyA), visit("/x"), make([]byte, 0, PageMax)
	b.ReportAllocs()
	for b.Loop() {
		c.Respond(buf, f, c.Decide(policy, f, start), start)
	}
}

func BenchmarkWrongAnswer(b *testing.B) {
	c, f, buf := newChallenger(b, keyA), visit("/x"), make([]byte, 0, PageMax)
	seed, _ := ask(b, c, f, start)
	form, sender := []byte("seed="+seed+"&answer=1"), post(f)
	b.ReportAllocs()
	for b.Loop() {
		c.Answer(buf, sender, form, start)
	}
}
