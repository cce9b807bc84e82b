package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var secret = []byte(strings.Repeat("k", 32))

func secretSource(t testing.TB) *Source {
	t.Helper()
	keys, err := NewSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return NewSource(keys)
}

func signed(t testing.TB, c jwt.MapClaims) []byte {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(s)
}

// A token that was right is remembered, until it expires or the keys are others.
func TestTokensAreRemembered(t *testing.T) {
	source := secretSource(t)
	tokens := NewTokens(TokenOptions{Algorithms: []string{"HS256"}, UserClaim: "sub", Entries: 64}, source)
	text := signed(t, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(2 * time.Minute).Unix()})
	first, r := tokens.Check(text, time.Second)
	if r != Right || string(first.User) != "ann" {
		t.Fatalf("Check = %+v, %v", first, r)
	}
	if again, _ := tokens.Check(text, 2*time.Second); again != first {
		t.Error("it is verified again")
	}
	if n := testing.AllocsPerRun(100, func() { tokens.Check(text, 2*time.Second) }); n != 0 {
		t.Errorf("a token that is remembered takes %v allocations", n)
	}
	if later, _ := tokens.Check(text, time.Second+3*time.Minute); later == first {
		t.Error("it is remembered beyond its end")
	}
	same, err := NewSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	source.Set(same)
	if other, r := tokens.Check(text, 2*time.Second); other == first || r != Right {
		t.Errorf("with other keys it isn't verified again: %v", r)
	}
	source.Set(nil)
	if _, r := tokens.Check(text, 2*time.Second); r != NoKeys {
		t.Errorf("without keys = %v", r)
	}
	none := NewTokens(TokenOptions{Algorithms: []string{"HS256"}}, secretSource(t))
	a, _ := none.Check(text, 0)
	if b, _ := none.Check(text, 0); a == b {
		t.Error("with no entries it is remembered")
	}
	if _, r := tokens.Check([]byte(strings.Repeat("a", tokenBytesMax+1)), 0); r != Wrong {
		t.Errorf("a token that is far too long = %v", r)
	}
}

func TestClaims(t *testing.T) {
	var claims map[string]any
	d := json.NewDecoder(strings.NewReader(`{"s":"a b","n":12345678901234567890,"f":1.5,"t":true,"l":["x",1,false],"o":{"p":{"q":["r"]}},"o.dotted":"d","deep":[["x"]],"null":null,"e":[]}`))
	d.UseNumber()
	if err := d.Decode(&claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"s": "a b", "n": "12345678901234567890", "f": "1.5", "t": "true", "l": "x,1,false", "o.p.q": "r", "o.dotted": "d", "e": "",
		"o": "-", "deep": "-", "null": "-", "none": "-", "o.p": "-", "s.x": "-",
	} {
		got, ok := text(claims, name)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("text(%q) = %q, want %q", name, got, want)
		}
	}
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"s", "a", true},
		{"s", "b", true},
		{"s", "a b", true},
		{"s", "a b c", false},
		{"s", "", false},
		{"l", "x", true},
		{"l", "1", true},
		{"l", "x,1,false", false},
		{"t", "true", true},
		{"n", "12345678901234567890", true},
		{"o", "p", false},
		{"e", "", false},
	} {
		v, _ := find(claims, c.name)
		if got := holds(v, c.value); got != c.want {
			t.Errorf("holds(%s, %q) = %v, want %v", c.name, c.value, got, c.want)
		}
	}
}

func TestParseKeySet(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := base64.RawURLEncoding.EncodeToString
	x, y := b(k.X.FillBytes(make([]byte, 32))), b(k.Y.FillBytes(make([]byte, 32)))
	ec := func(more string) string { return fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q%s}`, x, y, more) }
	modulus := b([]byte("\xc1" + strings.Repeat("\x55", 255)))
	for _, c := range []struct {
		keys string
		want int // usable ones; 0 is an error
	}{
		{"", 0},
		{ec(""), 1},
		{ec(`,"use":"enc"`), 0},
		{ec(`,"use":"sig"`) + "," + ec(`,"kid":"b"`), 2},
		{ec("") + `,{"kty":"new"}`, 1},
		{`7`, 0},
		{fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, y, x), 0}, // not on the curve
		{fmt.Sprintf(`{"kty":"EC","crv":"P-384","x":%q,"y":%q}`, x, y), 0},
		{fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q}`, x), 0},
		{fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"}`, modulus), 1},
		{fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQ"}`, modulus), 0},
		{fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"Ag"}`, modulus), 0},
		{fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"}`, b([]byte("\xc1"+strings.Repeat("\x55", 127)))), 0},
		{fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, x), 1},
		{fmt.Sprintf(`{"kty":"OKP","crv":"X25519","x":%q}`, x), 0},
		{`{"kty":"oct","k":"AAAA"}`, 0},
	} {
		s, err := ParseKeySet([]byte(`{"keys":[` + c.keys + `]}`))
		if (err != nil) != (c.want == 0) || err == nil && s.Len() != c.want {
			t.Errorf("ParseKeySet(%s) = %v, %v, want %d keys", c.keys, s, err, c.want)
		}
	}
}

// A token that names an unknown key asks for a fetch; one with a bad signature doesn't.
func TestUnknownKeysAreTold(t *testing.T) {
	keys, err := ParseKeySet([]byte(`{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	source, told := NewSource(keys), 0
	source.OnUnknown(func() { told++ })
	tokens := NewTokens(TokenOptions{Algorithms: []string{"EdDSA"}}, source)
	for i, id := range []string{"b", "a"} {
		head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + id + `"}`))
		if _, r := tokens.Check([]byte(head+".e30."+strings.Repeat("A", 86)), 0); r != Wrong || told != 1 {
			t.Errorf("%d: Check = %v, told %d times, want once", i, r, told)
		}
	}
}

// FuzzToken checks that nothing that wasn't signed is taken.
func FuzzToken(f *testing.F) {
	good := signed(f, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
	f.Add(good)
	f.Add([]byte("eyJhbGciOiJub25lIn0.e30."))
	f.Add([]byte("..."))
	tokens := NewTokens(TokenOptions{Algorithms: []string{"HS256"}, UserClaim: "sub", Entries: 16}, secretSource(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		token, r := tokens.Check(text, 0)
		if r == Right && string(token.User) != "ann" {
			t.Errorf("Check(%q) takes %q", text, token.User)
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"A","y":"B"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := ParseKeySet(text); err == nil && s.Len() == 0 {
			t.Errorf("ParseKeySet(%q) has no key and no error", text)
		}
	})
}
