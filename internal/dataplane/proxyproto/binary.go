package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// The commands, families and transports of version 2.
const (
	versionTwo    = 0x20
	commandLocal  = 0
	commandProxy  = 1
	familyNone    = 0
	familyFour    = 1
	familySix     = 2
	familyUnix    = 3
	transportNone = 0
	transportTCP  = 1
	addressesFour = 12
	addressesSix  = 36
	addressesUnix = 216
	commandMask   = 0x0f
	familyShift   = 4
	sumBytes      = 4 // bytes of a checksum
)

// parseBinary reads version 2.
func parseBinary(b []byte) (h Header, n, need int, err error) {
	if len(b) < prefixBytes {
		return h, 0, prefixBytes, nil
	}
	length := int(binary.BigEndian.Uint16(b[14:]))
	if b[12]&^commandMask != versionTwo || length > PayloadBytesMax {
		return h, 0, 0, ErrMalformed
	}
	n = prefixBytes + length
	if len(b) < n {
		return h, 0, n, nil
	}
	h.Version = 2
	switch b[12] & commandMask {
	case commandLocal: // the payload is to be discarded, whatever it says
		h.Local = true
		return h, n, 0, nil
	case commandProxy:
	default:
		return Header{}, 0, 0, ErrMalformed
	}
	if !h.payload(b[:n]) {
		return Header{}, 0, 0, ErrMalformed
	}
	return h, n, 0, nil
}

// payload reads the addresses and TLVs of a whole header b.
func (h *Header) payload(b []byte) bool {
	family, transport := b[13]>>familyShift, b[13]&commandMask
	p := b[prefixBytes:]
	size := 0
	switch {
	case family == familyNone || transport == transportNone:
		h.Local = true // it doesn't say for whom, and nobody knows where TLVs would begin
		return family <= familyUnix && transport <= transportTCP+1
	case transport != transportTCP:
		return false
	case family == familyFour && len(p) >= addressesFour:
		size = addressesFour
		h.Source = addrPort(p[:4], p[8:])
		h.Destination = addrPort(p[4:8], p[10:])
	case family == familySix && len(p) >= addressesSix:
		size = addressesSix
		h.Source = addrPort(p[:16], p[32:])
		h.Destination = addrPort(p[16:32], p[34:])
	case family == familyUnix && len(p) >= addressesUnix:
		size = addressesUnix
		h.Local = true // the sender took it from a socket of its own machine
	default:
		return false
	}
	return h.tlvs(b, prefixBytes+size)
}

func addrPort(address, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(address) // of a length that it knows
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

// tlvs checks the TLVs of a whole header b from at on, and keeps those that may be handed on.
func (h *Header) tlvs(b []byte, at int) bool {
	summed := false
	for p := b[at:]; len(p) > 0; {
		kind, value, rest, ok := cutTLV(p)
		if !ok {
			return false
		}
		whole := p[:len(p)-len(rest)]
		p = rest
		switch kind {
		case typeCRC:
			if summed || len(value) != sumBytes || !sumMatches(b, value, len(b)-len(rest)-sumBytes) {
				return false
			}
			summed = true
		case typeUniqueID:
			if len(value) > uniqueIDBytesMax {
				return false
			}
		case typeSSL:
			if !soundSSL(value) {
				return false
			}
		}
		if Kept(kind) {
			h.TLVs = append(h.TLVs, whole...)
		}
	}
	return true
}

// sumMatches reports whether the checksum at place at of header b is that of b with zeros in
// its place.
func sumMatches(b, sum []byte, at int) bool {
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := crc32.Update(0, table, b[:at])
	crc = crc32.Update(crc, table, []byte{0, 0, 0, 0})
	crc = crc32.Update(crc, table, b[at+sumBytes:])
	return crc == binary.BigEndian.Uint32(sum)
}

// sslHeadBytes is what comes before the TLVs inside of that about TLS.
const sslHeadBytes = 5

// soundSSL reports whether the lengths inside of the TLV about TLS come out.
func soundSSL(value []byte) bool {
	if len(value) < sslHeadBytes {
		return false
	}
	for p := value[sslHeadBytes:]; len(p) > 0; {
		var ok bool
		if _, _, p, ok = cutTLV(p); !ok {
			return false
		}
	}
	return true
}
