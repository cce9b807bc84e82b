package block

import (
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// Entry is one banned prefix. Its counter lives as long as the ban.
type Entry struct {
	prefix netip.Prefix
	shadow bool
	hits   atomic.Uint64
}

// NewEntry returns an entry for a prefix, which is brought into the form of Canonical, that
// has been met hits times already.
func NewEntry(prefix netip.Prefix, hits uint64) *Entry {
	e := &Entry{prefix: Canonical(prefix)}
	e.hits.Store(hits)
	return e
}

// NewShadow is NewEntry for a ban in shadow mode, which keeps nobody out.
func NewShadow(prefix netip.Prefix, hits uint64) *Entry {
	e := NewEntry(prefix, hits)
	e.shadow = true
	return e
}

// Shadow reports whether the entry keeps nobody out.
func (e *Entry) Shadow() bool { return e.shadow }

// Prefix returns what is banned.
func (e *Entry) Prefix() netip.Prefix { return e.prefix }

// Hit counts a connection or request that was refused.
func (e *Entry) Hit() { e.hits.Add(1) }

// Hits returns how many connections and requests were refused, or would have been.
func (e *Entry) Hits() uint64 { return e.hits.Load() }

// Table holds the bans. Find may be called from anywhere; one goroutine at a time changes
// it. The zero value and nil are empty.
type Table struct {
	enforced, shadow tree
}

// tree holds entries; those in shadow mode have one of their own, so that a longer prefix
// among them can't let in whom a shorter one keeps out. What is stored never changes; nil is
// empty.
type tree struct {
	atomic.Pointer[bart.Table[*Entry]]
}

func (t *tree) find(a netip.Addr) *Entry {
	all := t.Load()
	if all == nil {
		return nil
	}
	e, _ := all.Lookup(a.Unmap())
	return e
}

func (t *tree) size() int {
	if all := t.Load(); all != nil {
		return all.Size()
	}
	return 0
}

// Find returns the entry with the longest prefix that holds a, or nil. It passes over those
// in shadow mode.
func (t *Table) Find(a netip.Addr) *Entry {
	if t == nil {
		return nil
	}
	return t.enforced.find(a)
}

// FindShadow is Find among those in shadow mode.
func (t *Table) FindShadow(a netip.Addr) *Entry {
	if t == nil {
		return nil
	}
	return t.shadow.find(a)
}

// Len returns how many entries there are.
func (t *Table) Len() int { return t.enforced.size() + t.shadow.size() }

// Change adds entries, each in place of one of the same prefix, in whatever mode that is,
// after it has removed prefixes. Lookups see all of it or nothing.
func (t *Table) Change(add []*Entry, remove []netip.Prefix) {
	t.enforced.change(add, remove, false)
	t.shadow.change(add, remove, true)
}

// change makes the change for the entries in a mode.
func (t *tree) change(add []*Entry, remove []netip.Prefix, shadow bool) {
	all := t.Load()
	if all == nil {
		all = new(bart.Table[*Entry])
	}
	for _, p := range remove {
		all = all.DeletePersist(Canonical(p))
	}
	for _, e := range add {
		if e.shadow == shadow {
			all = all.InsertPersist(e.prefix, e)
		} else {
			all = all.DeletePersist(e.prefix)
		}
	}
	if all.Size() == 0 {
		all = nil // most processes ban nobody: Find is over at once
	}
	t.Store(all)
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
