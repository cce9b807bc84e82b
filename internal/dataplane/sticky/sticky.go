// Package sticky seals the identity of a target into the text of a cookie and opens it again.
//
// The text says nothing to who holds it and can't be made without a key: it is AES-256-GCM
// (NIST SP 800-38D) over target and time of issue, with the scope (the name of the upstream)
// as additional data. Keys come from a file, so that cookies survive a restart and hold for
// several proxies.
//
// The nonce is made from what is sealed, by a pseudorandom function with a key of its own (a
// synthetic IV, as in RFC 5297): two different contents have the same nonce with a chance of
// 2^-96. With random nonces a key would have to be changed after 2^32 cookies. The price is
// that the same target, scope and second give the same text.
package sticky

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"

	"github.com/cespare/xxhash/v2"

	"sentinel/internal/dataplane/keyfile"
)

const (
	nonceLen  = 12
	tagLen    = 16
	plainLen  = 16 // target and time of issue, big endian
	sealedLen = nonceLen + plainLen + tagLen

	// ValueLen is the length of every sealed text, in bytes.
	ValueLen = (sealedLen*8 + 5) / 6
)

// label keeps what is sealed here apart from other uses of the same key.
const label = "sticky target 1"

// alphabet is base64 for URLs without padding, all of it allowed in a cookie (RFC 6265
// section 4.1.1). Strict, so that one sealed value has one text.
var alphabet = base64.RawURLEncoding.Strict()

// Keys are the keys of a key file. Safe for any goroutine.
type Keys struct {
	keys    []key // the first one seals
	scratch sync.Pool
}

// key is what is made of one key of the file.
type key struct {
	seal  cipher.AEAD
	nonce cipher.Block
}

// scratch is the buffers of one call: what is handed to ciphers would else be allocated.
type scratch struct {
	bound  []byte // label and scope
	sealed [sealedLen]byte
	text   [ValueLen]byte
	plain  [plainLen]byte
	block  [aes.BlockSize]byte
}

// newKeys makes the ciphers. Each of raw has keyfile.KeyLen bytes.
func newKeys(raw [][]byte) (*Keys, error) {
	k := new(Keys)
	k.scratch.New = func() any { return new(scratch) }
	for _, r := range raw {
		one, err := newKey(r)
		if err != nil {
			return nil, err
		}
		k.keys = append(k.keys, one)
	}
	return k, nil
}

func newKey(raw []byte) (key, error) {
	derived, err := hkdf.Key(sha256.New, raw, nil, label, 2*keyfile.KeyLen)
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(derived[:keyfile.KeyLen])
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return key{}, err
	}
	nonce, err := aes.NewCipher(derived[keyfile.KeyLen:])
	return key{aead, nonce}, err
}

// AppendSeal appends the sealed text of a target, issued at a time in seconds since 1970, to
// dst. It is ValueLen bytes long. scope is what it is good for, and must be given to Open.
func (k *Keys) AppendSeal(dst []byte, scope string, target uint64, issued int64) []byte {
	s := k.scratch.Get().(*scratch)
	s.bind(scope)
	binary.BigEndian.PutUint64(s.plain[:], target)
	binary.BigEndian.PutUint64(s.plain[8:], uint64(issued))
	s.makeNonce(k.keys[0].nonce)
	nonce := s.sealed[:nonceLen]
	k.keys[0].seal.Seal(s.sealed[nonceLen:nonceLen], nonce, s.plain[:], s.bound)
	alphabet.Encode(s.text[:], s.sealed[:])
	dst = append(dst, s.text[:]...)
	k.scratch.Put(s)
	return dst
}

// Open returns what a sealed text holds: the target and when it was issued, in seconds since
// 1970. ok is false for what AppendSeal didn't make for this scope with one of the keys. The
// work is the same whatever the text, but for its length.
func (k *Keys) Open(value []byte, scope string) (target uint64, issued int64, ok bool) {
	if len(value) != ValueLen {
		return 0, 0, false
	}
	s := k.scratch.Get().(*scratch)
	copy(s.text[:], value)
	if n, err := alphabet.Decode(s.sealed[:], s.text[:]); err == nil && n == sealedLen {
		s.bind(scope)
		for i := range k.keys {
			if _, err := k.keys[i].seal.Open(s.plain[:0], s.sealed[:nonceLen], s.sealed[nonceLen:], s.bound); err == nil {
				target = binary.BigEndian.Uint64(s.plain[:])
				issued = int64(binary.BigEndian.Uint64(s.plain[8:]))
				ok = true
				break
			}
		}
	}
	k.scratch.Put(s)
	return target, issued, ok
}

// bind sets the additional data.
func (s *scratch) bind(scope string) {
	s.bound = append(append(s.bound[:0], label...), 0)
	s.bound = append(s.bound, scope...)
}

// makeNonce sets the nonce to the head of CBC-MAC over two blocks, which is a pseudorandom
// function for messages of one length: the digest of the additional data and the plain text.
func (s *scratch) makeNonce(block cipher.Block) {
	digest := sha256.Sum256(s.bound)
	copy(s.block[:], digest[:])
	block.Encrypt(s.block[:], s.block[:])
	for i, b := range s.plain {
		s.block[i] ^= b
	}
	block.Encrypt(s.block[:], s.block[:])
	copy(s.sealed[:nonceLen], s.block[:])
}

// TargetID returns the identity of a target by its stable name, "host:port".
func TargetID(key string) uint64 { return xxhash.Sum64String(key) }
