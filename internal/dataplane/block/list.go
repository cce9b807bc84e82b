package block

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// verdict is what a list says of a prefix.
type verdict bool

const (
	deny  verdict = false
	allow verdict = true
)

// List is an access list. It is immutable.
type List struct {
	tree   bart.Table[verdict]
	others verdict // those that no prefix holds
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

// Allows reports whether the client a is let in. A nil list lets everybody in.
func (l *List) Allows(a netip.Addr) bool {
	if l == nil {
		return true
	}
	if v, ok := l.tree.Lookup(a.Unmap()); ok {
		return bool(v)
	}
	return bool(l.others)
}
