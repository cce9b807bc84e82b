package proxyproto

import "encoding/binary"

// The types of TLVs that mean something here.
const (
	typeALPN      = 0x01
	typeAuthority = 0x02
	typeCRC       = 0x03
	typeUniqueID  = 0x05
	typeSSL       = 0x20
	typeNetNS     = 0x30
	customFirst   = 0xe0
	customLast    = 0xf7

	uniqueIDBytesMax = 128
	tlvHeadBytes     = 3
)

// Kept reports whether TLVs of the type may be handed on to an upstream: unique id, authority,
// ALPN, network namespace and those of applications. The checksum is of one header only, and
// what the first proxy says of its TLS would be taken for what we say of ours.
func Kept(kind byte) bool {
	switch kind {
	case typeALPN, typeAuthority, typeUniqueID, typeNetNS:
		return true
	}
	return kind >= customFirst && kind <= customLast
}

// cutTLV takes the first TLV off.
func cutTLV(p []byte) (kind byte, value, rest []byte, ok bool) {
	if len(p) < tlvHeadBytes {
		return 0, nil, nil, false
	}
	end := tlvHeadBytes + int(binary.BigEndian.Uint16(p[1:]))
	if len(p) < end {
		return 0, nil, nil, false
	}
	return p[0], p[tlvHeadBytes:end], p[end:], true
}
