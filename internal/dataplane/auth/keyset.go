package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

const (
	// KeySetBytesMax bounds a key set as it comes from a file or server.
	KeySetBytesMax = 1 << 20
	// keysMax bounds the keys of one set, and triesMax those that are tried for a token that
	// names none.
	keysMax, triesMax = 256, 8
	// rsaBitsMin and rsaBitsMax bound RSA keys: shorter ones can be broken, longer ones take
	// a processor for milliseconds.
	rsaBitsMin, rsaBitsMax = 2048, 8192
	// secretBytesMin is the least of a secret for HMAC (RFC 7518 section 3.2).
	secretBytesMin = 32
)

// KeySet are the keys that tokens are signed with. It doesn't change.
type KeySet struct{ keys []key }

type key struct {
	id  string
	alg string // the one algorithm it is for; empty for all that fit
	key crypto.PublicKey
}

// Len returns how many keys there are.
func (k *KeySet) Len() int { return len(k.keys) }

// ParseKeySet reads a JSON Web Key Set (RFC 7517 section 5). Keys that can't verify a
// signature of the kinds known here are passed over: sets hold keys for other purposes, too.
// A set without any key that can be used is an error.
func ParseKeySet(text []byte) (*KeySet, error) {
	if len(text) > KeySetBytesMax {
		return nil, fmt.Errorf("it has more than %d bytes", KeySetBytesMax)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("it is no key set: %w", err)
	}
	if len(set.Keys) > keysMax {
		return nil, fmt.Errorf("it has more than %d keys", keysMax)
	}
	s, last := &KeySet{}, errors.New("it is empty")
	for _, raw := range set.Keys {
		k, err := parseKey(raw)
		if err != nil {
			last = err
			continue
		}
		s.keys = append(s.keys, k)
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("it has no key that verifies signatures: %w", last)
	}
	return s, nil
}

// NewSecret returns a set of one secret for HMAC.
func NewSecret(secret []byte) (*KeySet, error) {
	if len(secret) < secretBytesMin {
		return nil, fmt.Errorf("it has %d bytes, and needs at least %d", len(secret), secretBytesMin)
	}
	return &KeySet{[]key{{key: append([]byte(nil), secret...)}}}, nil
}

// jwk is one key as RFC 7517 and RFC 7518 write it.
type jwk struct {
	Kty, Kid, Alg, Use, Crv string
	N, E, X, Y              string
}

func parseKey(raw []byte) (key, error) {
	var j jwk
	if err := json.Unmarshal(raw, &j); err != nil {
		return key{}, err
	}
	if j.Use != "" && j.Use != "sig" {
		return key{}, fmt.Errorf("a key is for use %q", j.Use)
	}
	var public crypto.PublicKey
	var err error
	switch j.Kty {
	case "RSA":
		public, err = j.rsa()
	case "EC":
		public, err = j.ec()
	case "OKP":
		public, err = j.edwards()
	default:
		err = fmt.Errorf("a key is of type %q", j.Kty)
	}
	return key{j.Kid, j.Alg, public}, err
}

func (j *jwk) rsa() (*rsa.PublicKey, error) {
	n, err1 := decode(j.N)
	e, err2 := decode(j.E)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
	exponent := new(big.Int).SetBytes(e)
	if bits := k.N.BitLen(); bits < rsaBitsMin || bits > rsaBitsMax {
		return nil, fmt.Errorf("an RSA key has %d bits, not %d to %d", bits, rsaBitsMin, rsaBitsMax)
	}
	if !exponent.IsInt64() || exponent.Int64() < 3 || exponent.Int64() > 1<<31-1 || exponent.Bit(0) == 0 {
		return nil, errors.New("an RSA key has an exponent that is none")
	}
	k.E = int(exponent.Int64())
	return k, nil
}

func (j *jwk) ec() (*ecdsa.PublicKey, error) {
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	curve, ok := curves[j.Crv]
	if !ok {
		return nil, fmt.Errorf("a key is on curve %q", j.Crv)
	}
	x, err1 := decode(j.X)
	y, err2 := decode(j.Y)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, errors.New("a key has coordinates of the wrong length")
	}
	return ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...)) // checks that the point is on the curve
}

func (j *jwk) edwards() (ed25519.PublicKey, error) {
	x, err := decode(j.X)
	if err != nil {
		return nil, err
	}
	if j.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("a key is on curve %q", j.Crv)
	}
	return x, nil
}

func decode(s string) ([]byte, error) {
	if s == "" {
		return nil, errors.New("a key lacks a part")
	}
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

// candidates returns the keys that may have signed a token: of its id where it names one, of
// the type that its algorithm takes.
func (k *KeySet) candidates(id, alg string) (list []crypto.PublicKey) {
	for i := range k.keys {
		c := &k.keys[i]
		if id != "" && c.id != "" && c.id != id || id != "" && c.id == "" && len(k.keys) > 1 || c.alg != "" && c.alg != alg || !fits(c.key, alg) {
			continue
		}
		if list = append(list, c.key); len(list) == triesMax {
			break
		}
	}
	return list
}

// has reports whether a key has the id.
func (k *KeySet) has(id string) bool {
	for i := range k.keys {
		if k.keys[i].id == id {
			return true
		}
	}
	return false
}

// fits reports whether a key is of the type that an algorithm takes (RFC 7518 section 3.1): a
// public key is never taken for a secret, nor a curve for another.
func fits(k crypto.PublicKey, alg string) bool {
	switch k := k.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[alg] == k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case []byte:
		return strings.HasPrefix(alg, "HS")
	}
	return false
}
