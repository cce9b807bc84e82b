package flight

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
	"time"
)

// The sum is that of crypto/hmac.
func TestSum(t *testing.T) {
	key, message := []byte("0123456789abcdef0123456789abcdef"), []byte("v1.0123456789abcdef")
	h := hmac.New(sha256.New, key)
	h.Write(message)
	if got := newSigner(key).sum(message); !bytes.Equal(got[:], h.Sum(nil)) {
		t.Errorf("sum = %x, want %x", got, h.Sum(nil))
	}
}

func TestValid(t *testing.T) {
	s, now := NewSigner(), noon.Unix()
	token := s.Token(noon.Add(5 * time.Minute))
	changed := func(i int) string {
		b := []byte(token)
		b[i] ^= 1
		return string(b)
	}
	for _, c := range []struct {
		name, token string
		at          int64
		want        bool
	}{
		{"a new one", token, now, true},
		{"just before its end", token, now + 299, true},
		{"at its end", token, now + 300, false},
		{"of another process", NewSigner().Token(noon.Add(5 * time.Minute)), now, false},
		{"that would last for too long", s.Token(noon.Add(2 * TokenLifeMax)), now, false},
		{"with another end", changed(len(tokenVersion) + expiryBytes - 1), now, false},
		{"with another signature", changed(tokenBytes - 2), now, false},
		{"of another version", "v2" + token[2:], now, false},
		{"cut", token[:tokenBytes-1], now, false},
		{"longer", token + "A", now, false},
		{"empty", "", now, false},
	} {
		if got := s.Valid([]byte(c.token), c.at); got != c.want {
			t.Errorf("Valid of a token %s = %v, want %v", c.name, got, c.want)
		}
	}
	value := []byte(token)
	if n := testing.AllocsPerRun(100, func() { s.Valid(value, now) }); n != 0 {
		t.Errorf("Valid allocates %v times", n)
	}
}

func FuzzValid(f *testing.F) {
	s := NewSigner()
	f.Add([]byte(s.Token(noon.Add(time.Minute))))
	f.Add([]byte("v1.0000000000000000."))
	other := NewSigner()
	f.Fuzz(func(t *testing.T, value []byte) {
		if other.Valid(value, noon.Unix()) {
			t.Errorf("Valid(%q) = true without the key", value)
		}
	})
}

func BenchmarkValid(b *testing.B) {
	s, now := NewSigner(), noon.Unix()
	forged := []byte(NewSigner().Token(noon.Add(time.Minute)))
	for b.Loop() {
		s.Valid(forged, now)
	}
}
