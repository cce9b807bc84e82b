package block

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"sentinel/internal/dataplane/geo"
)

// verdict is what a list says of a prefix.
type verdict bool

const (
	deny  verdict = false
	allow verdict = true
)

// List is an access list. It is immutable.
type List struct {
	// Shadow says that who isn't let in is only counted, by who asks the list.
	Shadow bool

	tree   bart.Table[verdict]
	rules  *geo.Rules // for those that no prefix holds; nil for none
	places *geo.Database
	others verdict // those that neither says anything of
}

// Locator knows where an address is.
type Locator interface {
	Locate(a netip.Addr) geo.Place
}

// NewList returns a list by which the longest prefix that holds an address decides, and of
// equal ones that of allow. What none holds is denied where anything is allowed, be it by a
// list without a prefix: allow is nil where nothing is.
func NewList(allowed, denied []netip.Prefix) *List {
	l := &List{others: verdict(allowed == nil)}
	for _, p := range denied {
		l.tree.Insert(Canonical(p), deny)
	}
	for _, p := range allowed {
		l.tree.Insert(Canonical(p), allow)
	}
	return l
}

// Judge has addresses that no prefix holds judged by where they are, as places knows it. It is
// called before the list is used.
func (l *List) Judge(rules *geo.Rules, places *geo.Database) { l.rules, l.places = rules, places }

// Allows reports whether the client a is let in. A nil list lets everybody in.
func (l *List) Allows(a netip.Addr) bool {
	if l == nil {
		return true
	}
	return l.AllowsFrom(a, l.places)
}

// AllowsFrom is Allows by somebody who may have looked up already where a is.
func (l *List) AllowsFrom(a netip.Addr, where Locator) bool {
	if l == nil {
		return true
	}
	if v, ok := l.tree.Lookup(a.Unmap()); ok {
		return bool(v)
	}
	if l.rules != nil {
		if allow, decided := l.rules.Decide(where.Locate(a)); decided {
			return allow
		}
	}
	return bool(l.others)
}
