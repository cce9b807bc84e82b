package challenge

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"net/netip"
	"sync"

	"sentinel/internal/dataplane/keyfile"
)

// A sealed text is base64 over 42 bytes:
//
//	kind 1 | key id 4 | detail 1 | time 8 | nonce 12 | tag 16
//
// The tag is HMAC-SHA256 (RFC 2104), cut to 16 bytes, over what stands before it, then the
// address prefix and the host: those two are known to who opens, so they need no place.
const (
	keyIDAt  = 1
	detailAt = 5
	timeAt   = 6
	nonceAt  = 14
	tagAt    = 26
	rawLen   = 42

	// TextLen is the length of every sealed text, in bytes.
	TextLen = rawLen / 3 * 4

	hostMax   = 255 // bytes of a host that count; no name is longer (RFC 1035 section 2.3.4)
	prefixLen = 18  // family, bits, address
)

// kind says what a sealed text is for: none opens in place of another.
type kind byte

const (
	kindSeed   kind = 1 + iota // detail: difficulty; time: of issue
	kindTicket                 // detail: seconds to wait; time: of issue
	kindToken                  // time: of expiry
	kindCheck                  // time: of issue
)

// label keeps the keys of this package apart from other uses of the same key file.
const label = "challenge 1"

// alphabet is base64 for URLs without padding: fit for a cookie (RFC 6265 section 4.1.1), a
// query and an attribute as it stands. Strict, so that one sealed value has one text.
var alphabet = base64.RawURLEncoding.Strict()

// Keys are the keys of a key file. Safe for any goroutine.
type Keys struct {
	ids     []uint32 // parallel to the MACs of a scratch; the first one seals
	scratch sync.Pool
}

// scratch is the buffers and hash states of one call, which would else be allocated.
type scratch struct {
	macs [keyfile.KeysMax]hash.Hash
	msg  [tagAt + prefixLen + hostMax]byte
	sum  [sha256.Size]byte
	raw  [rawLen]byte
	text [TextLen]byte
	hash [rawLen + 8]byte
}

// newKeys derives from each of raw, of keyfile.KeyLen bytes, a key for HMAC and its id.
func newKeys(raw [][]byte) (*Keys, error) {
	k := new(Keys)
	var derived [][]byte
	for _, r := range raw {
		d, err := hkdf.Key(sha256.New, r, nil, label, keyfile.KeyLen+4)
		if err != nil {
			return nil, err
		}
		id := binary.BigEndian.Uint32(d[keyfile.KeyLen:])
		for _, other := range k.ids {
			if id == other {
				return nil, errors.New("two keys have the same id: generate another one")
			}
		}
		k.ids = append(k.ids, id)
		derived = append(derived, d[:keyfile.KeyLen])
	}
	k.scratch.New = func() any {
		s := new(scratch)
		for i, d := range derived {
			s.macs[i] = hmac.New(sha256.New, d)
		}
		return s
	}
	return k, nil
}

// binding is what sealed texts are bound to.
type binding struct {
	host   []byte       // as in the request; case and port don't count
	prefix netip.Prefix // of the client
}

// sealed is what a sealed text says.
type sealed struct {
	detail byte
	time   int64  // seconds since 1970
	tag    uint64 // the head of the tag: names this text among all
}

// appendSeal appends a new sealed text, with a random nonce, to dst.
func (k *Keys) appendSeal(dst []byte, what kind, b binding, detail byte, time int64) []byte {
	s := k.scratch.Get().(*scratch)
	s.raw[0], s.raw[detailAt] = byte(what), detail
	binary.BigEndian.PutUint32(s.raw[keyIDAt:], k.ids[0])
	binary.BigEndian.PutUint64(s.raw[timeAt:], uint64(time))
	rand.Read(s.raw[nonceAt:tagAt]) // never fails
	copy(s.raw[tagAt:], s.mac(0, b))
	alphabet.Encode(s.text[:], s.raw[:])
	dst = append(dst, s.text[:]...)
	k.scratch.Put(s)
	return dst
}

// open returns what a sealed text says. ok is false for what appendSeal didn't make of this
// kind, for this binding, with one of the keys. It takes at most one MAC.
func (k *Keys) open(text []byte, what kind, b binding) (v sealed, ok bool) {
	if len(text) != TextLen {
		return sealed{}, false
	}
	s := k.scratch.Get().(*scratch)
	v, ok = k.openWith(s, text, what, b)
	k.scratch.Put(s)
	return v, ok
}

// openWith leaves the bytes under the text in s.raw.
func (k *Keys) openWith(s *scratch, text []byte, what kind, b binding) (sealed, bool) {
	if n, err := alphabet.Decode(s.raw[:], text); err != nil || n != rawLen || s.raw[0] != byte(what) {
		return sealed{}, false
	}
	id := binary.BigEndian.Uint32(s.raw[keyIDAt:])
	for i, one := range k.ids {
		if one != id {
			continue
		}
		if !hmac.Equal(s.mac(i, b), s.raw[tagAt:]) {
			return sealed{}, false
		}
		return sealed{
			detail: s.raw[detailAt],
			time:   int64(binary.BigEndian.Uint64(s.raw[timeAt:])),
			tag:    binary.BigEndian.Uint64(s.raw[tagAt:]),
		}, true
	}
	return sealed{}, false
}

// mac returns the tag over s.raw and a binding. It stays valid until the next call.
func (s *scratch) mac(key int, b binding) []byte {
	msg := append(s.msg[:0], s.raw[:tagAt]...)
	addr := b.prefix.Addr()
	family := byte(6)
	if addr.Is4() {
		family = 4
	}
	msg = append(msg, family, byte(b.prefix.Bits()))
	wide := addr.As16() // a length for all keeps the host apart from what stands before it
	msg = append(msg, wide[:]...)
	name := hostName(b.host)
	for _, c := range name[:min(len(name), hostMax)] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		msg = append(msg, c)
	}
	m := s.macs[key]
	m.Reset()
	m.Write(msg)
	return m.Sum(s.sum[:0])[:rawLen-tagAt]
}

// hostName cuts the port from a Host field (RFC 9110 section 7.2): cookies don't know ports.
func hostName(host []byte) []byte {
	for i := len(host) - 1; i >= 0; i-- {
		switch c := host[i]; {
		case c == ':':
			return host[:i]
		case c < '0' || c > '9':
			return host
		}
	}
	return host
}

// prefixOf returns the prefix of an address that clients are told apart by. An address that
// isn't valid has the prefix of nobody.
func prefixOf(addr netip.Addr, bits4, bits6 int) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 128)
	}
	return p
}
