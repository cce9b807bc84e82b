package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Append appends a header of version 1 or 2 that says that the connection is that of source
// to destination. TLVs, which must be sound, go into version 2 only. Ends of different
// families are written as IPv6. Where either isn't valid the header says nobody.
func Append(dst []byte, version int, source, destination netip.AddrPort, tlvs []byte) []byte {
	if !source.IsValid() || !destination.IsValid() {
		return AppendLocal(dst, version)
	}
	four := source.Addr().Unmap().Is4() && destination.Addr().Unmap().Is4()
	if version == 1 {
		return appendLine(dst, source, destination, four)
	}
	if len(tlvs) > PayloadBytesMax-addressesSix {
		tlvs = nil
	}
	dst = append(dst, signature...)
	dst = append(dst, versionTwo|commandProxy)
	if four {
		a, b := source.Addr().Unmap().As4(), destination.Addr().Unmap().As4()
		dst = append(dst, familyFour<<familyShift|transportTCP)
		dst = binary.BigEndian.AppendUint16(dst, uint16(addressesFour+len(tlvs)))
		dst = append(append(dst, a[:]...), b[:]...)
	} else {
		a, b := source.Addr().As16(), destination.Addr().As16()
		dst = append(dst, familySix<<familyShift|transportTCP)
		dst = binary.BigEndian.AppendUint16(dst, uint16(addressesSix+len(tlvs)))
		dst = append(append(dst, a[:]...), b[:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, source.Port())
	dst = binary.BigEndian.AppendUint16(dst, destination.Port())
	return append(dst, tlvs...)
}

func appendLine(dst []byte, source, destination netip.AddrPort, four bool) []byte {
	family := "TCP4 "
	a, b := source.Addr().Unmap(), destination.Addr().Unmap()
	if !four {
		family = "TCP6 "
		a, b = netip.AddrFrom16(a.As16()), netip.AddrFrom16(b.As16())
	}
	dst = append(append(dst, word...), family...)
	dst = append(a.WithZone("").AppendTo(dst), ' ')
	dst = append(b.WithZone("").AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(source.Port()), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(destination.Port()), 10)
	return append(dst, lineEnd...)
}

// AppendLocal appends a header that says that the connection is our own, such as that of a
// health check.
func AppendLocal(dst []byte, version int) []byte {
	if version == 1 {
		return append(dst, word+"UNKNOWN"+lineEnd...)
	}
	return append(dst, signature+"\x20\x00\x00\x00"...)
}
