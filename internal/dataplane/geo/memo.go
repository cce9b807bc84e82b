package geo

import (
	"net/netip"
	"sync/atomic"
)

// Memo remembers the place of one address, by the database that was asked. Its zero value
// knows nothing; it may be used by several goroutines.
//
//	63      48 47      33  32    31        0
//	| number  | country | known |   ASN    |
type Memo struct{ bits atomic.Uint64 }

const (
	memoKnown        = 1 << 32
	memoCountryShift = 33
	memoCountryMask  = 1<<15 - 1
	memoNumberShift  = 48
)

// Locate returns where a is, which must be the same address each time.
func (m *Memo) Locate(d *Database, a netip.Addr) Place {
	if d == nil {
		return Place{}
	}
	b := m.bits.Load()
	if b&memoKnown != 0 && uint16(b>>memoNumberShift) == d.number {
		return Place{Country: Country(b >> memoCountryShift & memoCountryMask), ASN: uint32(b)}
	}
	p := d.Locate(a)
	m.bits.Store(uint64(d.number)<<memoNumberShift | uint64(p.Country)<<memoCountryShift | memoKnown | uint64(p.ASN))
	return p
}
