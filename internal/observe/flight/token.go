package flight

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// Field is the name of the field by which a request asks to be kept, and FieldLower the same in
// lower case. It is never passed on.
const (
	Field      = "Sentinel-Explain"
	FieldLower = "sentinel-explain"
)

// TokenLifeMax is how long a token is good for at most.
const TokenLifeMax = time.Hour

// A token is "v1.", its expiry as 16 hexadecimal digits of Unix seconds, a dot, and the
// HMAC-SHA256 of what stands before that dot, in base64url. It is bound to nothing but the key
// of the process.
const (
	tokenVersion = "v1."
	expiryBytes  = 16
	signedBytes  = len(tokenVersion) + expiryBytes
	macBytes     = 43 // of base64 without padding
	tokenBytes   = signedBytes + 1 + macBytes
)

// Signer makes and checks tokens by a key that ends with the process.
type Signer struct {
	inner, outer [sha256.BlockSize]byte // the key as HMAC has it (RFC 2104 section 2)
}

// NewSigner returns a Signer with a random key.
func NewSigner() *Signer {
	var key [sha256.Size]byte
	rand.Read(key[:]) // never fails
	return newSigner(key[:])
}

func newSigner(key []byte) *Signer {
	s := new(Signer)
	copy(s.inner[:], key)
	copy(s.outer[:], key)
	for i := range s.inner {
		s.inner[i] ^= 0x36
		s.outer[i] ^= 0x5c
	}
	return s
}

// Token returns a token that is good until expires.
func (s *Signer) Token(expires time.Time) string {
	var seconds [8]byte
	for i, n := 0, uint64(expires.Unix()); i < len(seconds); i++ {
		seconds[i] = byte(n >> (56 - 8*i))
	}
	b := hex.AppendEncode([]byte(tokenVersion), seconds[:])
	mac := s.sum(b)
	return string(base64.RawURLEncoding.AppendEncode(append(b, '.'), mac[:]))
}

// Valid reports whether a value is a token of this process that is good at now, in Unix
// seconds. It allocates nothing and takes a microsecond at most.
func (s *Signer) Valid(value []byte, now int64) bool {
	if len(value) != tokenBytes || string(value[:len(tokenVersion)]) != tokenVersion || value[signedBytes] != '.' {
		return false
	}
	expires, ok := expiryOf(value[len(tokenVersion):signedBytes])
	if !ok || expires <= now || expires-now > int64(TokenLifeMax/time.Second) {
		return false
	}
	mac := s.sum(value[:signedBytes])
	var want [macBytes]byte
	base64.RawURLEncoding.Encode(want[:], mac[:])
	return subtle.ConstantTimeCompare(want[:], value[signedBytes+1:]) == 1
}

// expiryOf reads digits as Token writes them.
func expiryOf(digits []byte) (n int64, ok bool) {
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, n > 0
}

// sum returns the HMAC-SHA256 of a message of signedBytes bytes.
func (s *Signer) sum(message []byte) [sha256.Size]byte {
	var first [sha256.BlockSize + signedBytes]byte
	n := copy(first[:], s.inner[:])
	copy(first[n:], message)
	digest := sha256.Sum256(first[:])
	var second [sha256.BlockSize + sha256.Size]byte
	n = copy(second[:], s.outer[:])
	copy(second[n:], digest[:])
	return sha256.Sum256(second[:])
}
