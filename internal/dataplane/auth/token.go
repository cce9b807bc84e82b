package auth

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// tokenBytesMax bounds a token: what is longer is wrong.
	tokenBytesMax = 8 << 10
	// tokenKeepMax is for how long at most a token that was right isn't verified again.
	tokenKeepMax = 5 * time.Minute
)

// Result is what became of a token.
type Result uint8

// The results.
const (
	Right   Result = iota
	Wrong          // malformed, expired, by another key, for somebody else
	Lacking        // it is right, and a claim that is asked for isn't
	NoKeys         // nobody can tell
)

// Pair is a claim with the value that it must have, or a field with the claim that it tells.
type Pair struct{ Name, Value string }

// TokenOptions are what tokens are checked by.
type TokenOptions struct {
	Algorithms        []string // the only ones that are taken
	Issuers, Audience []string // any of them; none for all
	Leeway            time.Duration
	Require           []Pair   // claim and value
	Forward           []Pair   // field and claim
	UserClaim         string   // who the client is
	Keep              []string // claims that others ask for
	Entries           int      // tokens that are remembered
}

// Tokens checks tokens (RFC 7519), signed by keys of a source.
type Tokens struct {
	opt      TokenOptions
	source   *Source
	parser   *jwt.Parser
	verified *Verified[*Token]
}

// Token is a token that was right.
type Token struct {
	// User is who the client is; nil where the token doesn't say.
	User []byte
	// Fields tell the upstream what was to be forwarded, as complete field lines.
	Fields  []byte
	result  Result
	claims  []claim
	keys    *KeySet
	expires time.Time
}

type claim struct {
	name  string
	value []byte
}

// NewTokens returns a check. None of the algorithms may be "none".
func NewTokens(o TokenOptions, source *Source) *Tokens {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(o.Algorithms), jwt.WithLeeway(o.Leeway), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithJSONNumber(),
	}
	if len(o.Audience) > 0 {
		options = append(options, jwt.WithAudience(o.Audience...))
	}
	return &Tokens{opt: o, source: source, parser: jwt.NewParser(options...), verified: NewVerified[*Token](o.Entries)}
}

// Check checks a token at a time of the clock. What was right is remembered until it expires,
// for five minutes at most, and as long as the keys are the same.
func (t *Tokens) Check(text []byte, now time.Duration) (*Token, Result) {
	if len(text) == 0 || len(text) > tokenBytesMax {
		return nil, Wrong
	}
	keys := t.source.Keys()
	if keys == nil {
		return nil, NoKeys
	}
	d := t.verified.Digest(nil, text)
	if token, ok := t.verified.Find(d, now); ok && token.keys == keys {
		return token, token.result
	}
	token := t.verify(string(text), keys)
	if token == nil {
		return nil, Wrong
	}
	if left := min(time.Until(token.expires), tokenKeepMax); left > 0 {
		t.verified.Remember(d, now+left, token)
	}
	return token, token.result
}

var errKey = errors.New("no key for it")

// verify returns what a token says; nil where it is wrong.
func (t *Tokens) verify(text string, keys *KeySet) *Token {
	claims := jwt.MapClaims{}
	_, err := t.parser.ParseWithClaims(text, claims, func(token *jwt.Token) (any, error) { return t.keysFor(token, keys) })
	if err != nil {
		return nil
	}
	if issuer, _ := claims.GetIssuer(); len(t.opt.Issuers) > 0 && !slices.Contains(t.opt.Issuers, issuer) {
		return nil
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return nil
	}
	token := &Token{keys: keys, expires: expires.Add(t.opt.Leeway)}
	t.read(token, claims)
	return token
}

// keysFor returns the keys that may have signed a token. Extensions that must be understood
// aren't (RFC 7515 section 4.1.11).
func (t *Tokens) keysFor(token *jwt.Token, keys *KeySet) (any, error) {
	if _, ok := token.Header["crit"]; ok {
		return nil, errKey
	}
	id, _ := token.Header["kid"].(string)
	set := jwt.VerificationKeySet{}
	for _, k := range keys.candidates(id, token.Method.Alg()) {
		set.Keys = append(set.Keys, k)
	}
	if len(set.Keys) == 0 {
		if id != "" && !keys.has(id) {
			t.source.tellUnknown()
		}
		return nil, errKey
	}
	return set, nil
}

// read takes what is wanted out of the claims.
func (t *Tokens) read(token *Token, claims jwt.MapClaims) {
	for _, want := range t.opt.Require {
		v, ok := find(claims, want.Name)
		if !ok || !holds(v, want.Value) {
			token.result = Lacking
		}
	}
	if user, ok := text(claims, t.opt.UserClaim); ok && user != "" {
		token.User = []byte(user)
	}
	for _, name := range t.opt.Keep {
		if value, ok := text(claims, name); ok {
			token.claims = append(token.claims, claim{name, []byte(value)})
		}
	}
	for _, f := range t.opt.Forward {
		value, ok := text(claims, f.Value)
		switch {
		case !ok:
		case !fieldValue(value):
			token.result = Lacking // it would be another request
		default:
			token.Fields = append(token.Fields, f.Name+": "+strings.TrimSpace(value)+"\r\n"...)
		}
	}
}

// Claim returns a claim that was to be kept; nil where the token has none.
func (t *Token) Claim(name string) []byte {
	for i := range t.claims {
		if t.claims[i].name == name {
			return t.claims[i].value
		}
	}
	return nil
}
