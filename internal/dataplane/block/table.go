package block

import (
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// Entry is one banned prefix. Its counter lives as long as the ban.
type Entry struct {
	prefix netip.Prefix
	hits   atomic.Uint64
}

// NewEntry returns an entry for a prefix, which is brought into the form of Canonical, that
// has been met hits times already.
func NewEntry(prefix netip.Prefix, hits uint64) *Entry {
	e := &Entry{prefix: Canonical(prefix)}
	e.hits.Store(hits)
	return e
}

// Prefix returns what is banned.
func (e *Entry) Prefix() netip.Prefix { return e.prefix }

// Hit counts a connection or request that was refused.
func (e *Entry) Hit() { e.hits.Add(1) }

// Hits returns how many connections and requests were refused.
func (e *Entry) Hits() uint64 { return e.hits.Load() }

// Table holds the bans. Find may be called from anywhere; one goroutine at a time changes
// it. The zero value and nil are empty.
type Table struct {
	tree atomic.Pointer[bart.Table[*Entry]] // never changed once stored; nil while empty
}

// Find returns the entry with the longest prefix that holds a, or nil.
func (t *Table) Find(a netip.Addr) *Entry {
	if t == nil {
		return nil
	}
	tree := t.tree.Load()
	if tree == nil {
		return nil
	}
	e, _ := tree.Lookup(a.Unmap())
	return e
}

// Len returns how many entries there are.
func (t *Table) Len() int {
	if tree := t.tree.Load(); tree != nil {
		return tree.Size()
	}
	return 0
}

// Change adds entries, each in place of one of the same prefix, after it has removed
// prefixes. Lookups see all of it or nothing.
func (t *Table) Change(add []*Entry, remove []netip.Prefix) {
	tree := t.tree.Load()
	if tree == nil {
		tree = new(bart.Table[*Entry])
	}
	for _, p := range remove {
		tree = tree.DeletePersist(Canonical(p))
	}
	for _, e := range add {
		tree = tree.InsertPersist(e.prefix, e)
	}
	if tree.Size() == 0 {
		tree = nil // most processes ban nobody: Find is over at once
	}
	t.tree.Store(tree)
}

// Canonical returns p without host bits and, where it lies in the IPv4-mapped part of IPv6,
// as the IPv4 prefix that it stands for. An invalid prefix stays one.
func Canonical(p netip.Prefix) netip.Prefix {
	const mapped = 96 // bits before the IPv4 address
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p.Masked()
}
