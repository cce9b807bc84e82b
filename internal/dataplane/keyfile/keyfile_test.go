package keyfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	raw := bytes.Repeat([]byte{0xfb}, KeyLen)
	a, b := strings.Repeat("a1", KeyLen), base64.StdEncoding.EncodeToString(raw)
	many := []string{a, b, strings.Repeat("11", KeyLen), strings.Repeat("22", KeyLen), strings.Repeat("33", KeyLen)}
	const none = "no key: want 1 to 4 keys of 32 bytes in base64 or hexadecimal, one a line"
	for _, test := range []struct {
		name, file, want string
		keys             int
	}{
		{"hex", hex.EncodeToString(raw), "", 1},
		{"upper hex", strings.ToUpper(hex.EncodeToString(raw)), "", 1},
		{"base64", b, "", 1},
		{"base64 without padding", strings.TrimRight(b, "="), "", 1},
		{"base64 for URLs", base64.URLEncoding.EncodeToString(raw), "", 1},
		{"comments and blank lines", "# keys\r\n\r\n  " + b + "  # of May\r\n#" + a + "\r\n", "", 1},
		{"four", strings.Join(many[:4], "\n"), "", 4},
		{"five", strings.Join(many, "\n"), "line 5: more than 4 keys", 0},
		{"empty", "", none, 0},
		{"only comments", "# nothing\n", none, 0},
		{"short", a + "\n\nabcd", "line 3: the key has 2 bytes, want 32", 0},
		{"long", a + "ff", "line 1: the key has 33 bytes, want 32", 0},
		{"garbage", "# x\nnot a key!", "line 2: neither base64 nor hexadecimal", 0},
		{"zeros", strings.Repeat("0", 64), "line 1: the key is all zeros", 0},
		{"twice", b + "\n" + hex.EncodeToString(raw), "line 2: the key stands in the file already", 0},
	} {
		keys, err := Parse([]byte(test.file))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.want || len(keys) != test.keys {
			t.Errorf("Parse of %s: %d keys, error %q, want %d, %q", test.name, len(keys), got, test.keys, test.want)
		}
	}
	for name, file := range map[string]string{"hex": hex.EncodeToString(raw), "base64 for URLs": base64.URLEncoding.EncodeToString(raw)} {
		if keys, _ := Parse([]byte(a + "\n" + file)); len(keys) != 2 || !bytes.Equal(keys[1], raw) {
			t.Errorf("Parse of %s = %x, want the key of the second line second", name, keys)
		}
	}
}

func TestGenerate(t *testing.T) {
	one, other := Generate("# keys\n"), Generate("# keys\n")
	if keys, err := Parse(one); len(keys) != 1 || bytes.Equal(one, other) || !bytes.HasPrefix(one, []byte("# keys\n")) {
		t.Errorf("Generate gives %q and %q, read as %d keys, %v", one, other, len(keys), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(strings.Repeat("a1", KeyLen) + "\n# x\n" + strings.Repeat("b2", KeyLen)))
	f.Fuzz(func(t *testing.T, file []byte) {
		keys, err := Parse(file)
		if (err == nil) != (len(keys) > 0) || len(keys) > KeysMax {
			t.Fatalf("Parse = %d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			if len(k) != KeyLen {
				t.Fatalf("a key of %d bytes", len(k))
			}
		}
	})
}
