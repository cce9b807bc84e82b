package ban

import (
	"fmt"
	"net/netip"
)

// Protected is an address or prefix that nobody should ban, and why not.
type Protected struct {
	Prefix netip.Prefix
	Why    string // such as `a target of upstream "api"`
}

// protectedHit is what a ban would hit.
type protectedHit struct {
	ban  netip.Prefix
	what Protected
}

// protection returns what of the prefixes would hit something that is protected, or nil.
// session are the addresses from which the operator is logged in; what is no address there
// is passed over.
func (k *Keeper) protection(prefixes []netip.Prefix, session []string) *protectedHit {
	list := []Protected{
		{netip.MustParsePrefix("127.0.0.0/8"), "the loopback, from where health is asked"},
		{netip.MustParsePrefix("::1/128"), "the loopback, from where health is asked"},
	}
	for _, text := range session {
		if a, err := netip.ParseAddr(text); err == nil {
			a = a.Unmap().WithZone("")
			list = append(list, Protected{netip.PrefixFrom(a, a.BitLen()), "the address from which you are logged in"})
		}
	}
	list = append(list, k.opt.Protected()...)
	for _, p := range prefixes {
		if p.Bits() == 0 {
			return &protectedHit{p, Protected{p, "everybody"}}
		}
		for _, what := range list {
			if p.Overlaps(what.Prefix) {
				return &protectedHit{p, what}
			}
		}
	}
	return nil
}

// what says what would be hit: "192.0.2.0/24 holds 192.0.2.7, the address ...".
func (h *protectedHit) String() string {
	switch {
	case h.ban == h.what.Prefix:
		return fmt.Sprintf("%s is %s", h.ban, h.what.Why)
	case h.ban.Bits() <= h.what.Prefix.Bits():
		return fmt.Sprintf("%s holds %s, %s", h.ban, bare(h.what.Prefix), h.what.Why)
	}
	return fmt.Sprintf("%s lies in %s, %s", bare(h.ban), h.what.Prefix, h.what.Why)
}

// bare leaves the length off where a prefix is one address.
func bare(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func (h *protectedHit) refusal() string {
	return h.String() + ": nothing was banned; if you are sure, add --force"
}

func (h *protectedHit) note() string { return h.String() + ": banned all the same, as --force says" }
