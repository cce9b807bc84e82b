package limit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// KeyIPv6BitsDefault is how much of an IPv6 address names a client: whoever has one address
// usually has the whole /64.
const KeyIPv6BitsDefault = 64

// Part is what a key may be made of.
type Part uint8

// The parts of a key.
const (
	PartClient   Part = iota + 1 // the client's address
	PartHeader                   // the value of a field
	PartCookie                   // the value of a cookie
	PartPath                     // the canonical path, without query
	PartRoute                    // the name of the route
	PartHost                     // the host asked for, canonical: lower case, without port
	PartMethod                   // the method
	PartListener                 // the name of the listener
	PartUser                     // who the client has proved to be
	PartClaim                    // a claim of its token
)

// Source supplies the parts of one request.
type Source interface {
	// KeyAddr returns the client's address, as trusted proxies told it.
	KeyAddr() netip.Addr
	// KeyPart returns any other part, nil where there is none, which differs from an empty
	// one. The name is that of a field, in lower case, or of a cookie.
	KeyPart(p Part, name string) []byte
}

// KeySpec says what requests are counted by.
type KeySpec struct {
	parts    []keyPart
	ipv6Bits int
}

type keyPart struct {
	part Part
	name string // of a field or cookie
}

// ParseKey reads what requests are to be counted by: one or more of client_ip, header:NAME,
// cookie:NAME, path, route, host, method, listener, user and jwt:CLAIM, where - may stand for _. IPv4
// addresses count whole, IPv6 addresses by their first ipv6Bits, 1 to 128, or
// KeyIPv6BitsDefault where that is 0.
func ParseKey(list []string, ipv6Bits int) (*KeySpec, error) {
	if len(list) == 0 {
		return nil, errors.New("a key needs at least one part")
	}
	if ipv6Bits < 0 || ipv6Bits > 128 {
		return nil, fmt.Errorf("%d bits of an IPv6 address, want 1 to 128", ipv6Bits)
	}
	if ipv6Bits == 0 {
		ipv6Bits = KeyIPv6BitsDefault
	}
	k := &KeySpec{ipv6Bits: ipv6Bits}
	for _, text := range list {
		p, err := parsePart(text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(k.parts, p) {
			return nil, fmt.Errorf("key part %q stands twice", text)
		}
		k.parts = append(k.parts, p)
	}
	return k, nil
}

func parsePart(text string) (keyPart, error) {
	kind, name, named := strings.Cut(text, ":")
	part := partOf(kind)
	switch {
	case part == 0:
		return keyPart{}, fmt.Errorf("unknown key part %q, want client_ip, header:NAME, cookie:NAME, path, route, host, method, listener, user or jwt:CLAIM", text)
	case part == PartClaim && name != "":
		return keyPart{part, name}, nil
	case part != PartHeader && part != PartCookie:
		if named {
			return keyPart{}, fmt.Errorf("key part %q takes no name", text)
		}
		return keyPart{part: part}, nil
	case !isToken(name):
		return keyPart{}, fmt.Errorf("key part %q needs a name, as in %s:session", text, kind)
	}
	if part == PartHeader {
		name = strings.ToLower(name)
	}
	return keyPart{part, name}, nil
}

func partOf(kind string) Part {
	switch kind {
	case "client_ip", "client-ip":
		return PartClient
	case "header":
		return PartHeader
	case "cookie":
		return PartCookie
	case "path":
		return PartPath
	case "route":
		return PartRoute
	case "host":
		return PartHost
	case "method":
		return PartMethod
	case "listener":
		return PartListener
	case "user":
		return PartUser
	case "jwt":
		return PartClaim
	}
	return 0
}

// String returns the part as the configuration writes it, without a name.
func (p Part) String() string {
	names := [...]string{
		PartClient: "client_ip", PartHeader: "header", PartCookie: "cookie", PartPath: "path",
		PartRoute: "route", PartHost: "host", PartMethod: "method", PartListener: "listener",
		PartUser: "user", PartClaim: "jwt",
	}
	if p == 0 || int(p) >= len(names) {
		return "unknown"
	}
	return names[p]
}

// isToken reports whether a name may be that of a field or cookie (RFC 9110 section 5.6.2).
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

// String returns the parts in canonical spelling, separated by commas; the bits of IPv6 stand
// behind client_ip where they aren't the default. Equal keys have equal strings.
func (k *KeySpec) String() string {
	var b strings.Builder
	for i, p := range k.parts {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(p.part.String())
		if p.name != "" {
			b.WriteByte(':')
			b.WriteString(p.name)
		}
		if p.part == PartClient && k.ipv6Bits != KeyIPv6BitsDefault {
			b.WriteByte('/')
			b.WriteString(strconv.Itoa(k.ipv6Bits))
		}
	}
	return b.String()
}

// Uses reports whether the key has a part.
func (k *KeySpec) Uses(p Part) bool {
	return slices.ContainsFunc(k.parts, func(have keyPart) bool { return have.part == p })
}

// NeedsIdentity reports whether the key is known only once the client has proved who it is.
func (k *KeySpec) NeedsIdentity() bool { return k.Uses(PartUser) || k.Uses(PartClaim) }

// Seed is the secret of a process that makes its keys unpredictable, so that nobody can look
// for requests whose keys collide. Tables outlive a reload, so the seed has to as well: there
// is one for a process, made by NewSeed.
type Seed struct {
	fleet  *sipKey // hashes instead of hash where several processes share it
	hash   maphash.Seed
	fold   [2]uint64
	absent uint64 // in place of the hash of a part that isn't there
}

// NewSeed returns a random seed.
func NewSeed() *Seed {
	return &Seed{
		hash:   maphash.MakeSeed(),
		fold:   [2]uint64{maphash.String(maphash.MakeSeed(), "0"), maphash.String(maphash.MakeSeed(), "1")},
		absent: maphash.String(maphash.MakeSeed(), "absent"),
	}
}

// NewFleetSeed returns the seed that every process makes of one secret, for keys that they
// count together.
func NewFleetSeed(secret []byte) *Seed {
	derive := func(label string) uint64 {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte("sentinel rate limit key " + label))
		return binary.LittleEndian.Uint64(h.Sum(nil))
	}
	return &Seed{
		fleet: &sipKey{derive("k0"), derive("k1")}, hash: maphash.MakeSeed(),
		fold: [2]uint64{derive("fold 0"), derive("fold 1")}, absent: derive("absent"),
	}
}

func (s *Seed) sum(value []byte) uint64 {
	if s.fleet != nil {
		return s.fleet.sum(value)
	}
	return maphash.Bytes(s.hash, value)
}

// Sum returns the key of a request, and whether all parts were there. A part that isn't
// counts as one more value: those who leave it out share one key, and none escapes the limit
// by leaving it out.
//
// It hashes with hash/maphash and not with xxHash, whose collisions don't depend on the seed:
// two words of input can be chosen so that they cancel out whatever it is.
func (k *KeySpec) Sum(seed *Seed, src Source) (key uint64, complete bool) {
	complete = true
	var addr [16]byte
	for i := range k.parts {
		p := &k.parts[i]
		value := k.value(p, src, &addr)
		h := seed.absent
		if value == nil {
			complete = false
		} else {
			h = seed.sum(value)
		}
		hi, lo := bits.Mul64(key^seed.fold[0], h^seed.fold[1])
		key = hi ^ lo
	}
	return key, complete
}

// value returns a part of a request, nil where there is none; an address is written into buf.
func (k *KeySpec) value(p *keyPart, src Source, buf *[16]byte) []byte {
	if p.part == PartClient {
		return k.client(buf, src.KeyAddr())
	}
	return src.KeyPart(p.part, p.name)
}

// client writes what counts of an address into buf: four bytes of IPv4, also when mapped into
// IPv6, or sixteen. An invalid address is none.
func (k *KeySpec) client(buf *[16]byte, a netip.Addr) []byte {
	a = a.Unmap()
	if !a.IsValid() {
		return nil
	}
	if a.Is4() {
		four := a.As4()
		return buf[:copy(buf[:], four[:])]
	}
	*buf = a.As16()
	whole := k.ipv6Bits / 8
	if whole < len(buf) {
		buf[whole] &= ^byte(0xff >> (k.ipv6Bits % 8))
		clear(buf[whole+1:])
	}
	return buf[:]
}
