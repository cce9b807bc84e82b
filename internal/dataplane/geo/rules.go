package geo

import "slices"

// Rules say which places are let in and which aren't. They are immutable.
type Rules struct {
	allowed, denied               countrySet
	allowedSystems, deniedSystems []uint32 // sorted
}

type countrySet [(countries + 63) / 64]uint64

func (s *countrySet) add(c Country)      { s[c/64] |= 1 << (c % 64) }
func (s *countrySet) has(c Country) bool { return s[c/64]&(1<<(c%64)) != 0 }

// Lists are what Rules are made of.
type Lists struct {
	AllowCountries, DenyCountries []Country
	AllowSystems, DenySystems     []uint32 // numbers of autonomous systems
}

// NewRules returns rules of lists; nil where all are empty.
func NewRules(l Lists) *Rules {
	if len(l.AllowCountries)+len(l.DenyCountries)+len(l.AllowSystems)+len(l.DenySystems) == 0 {
		return nil
	}
	r := &Rules{allowedSystems: slices.Sorted(slices.Values(l.AllowSystems)), deniedSystems: slices.Sorted(slices.Values(l.DenySystems))}
	for _, c := range l.AllowCountries {
		r.allowed.add(c)
	}
	for _, c := range l.DenyCountries {
		r.denied.add(c)
	}
	return r
}

// Decide returns what the rules say of a place: that of its autonomous system before that of
// its country, and of either what is allowed before what is denied. decided is false where
// they say nothing, as of a place that isn't known.
func (r *Rules) Decide(p Place) (allow, decided bool) {
	if p.ASN != 0 {
		if _, ok := slices.BinarySearch(r.allowedSystems, p.ASN); ok {
			return true, true
		}
		if _, ok := slices.BinarySearch(r.deniedSystems, p.ASN); ok {
			return false, true
		}
	}
	switch {
	case p.Country == 0:
		return false, false
	case r.allowed.has(p.Country):
		return true, true
	case r.denied.has(p.Country):
		return false, true
	}
	return false, false
}
