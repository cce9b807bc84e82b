package compile

import (
	"slices"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/block"
	"sentinel/internal/dataplane/snapshot"
)

// accessLists are the lists of one Build by the block that they are made of, for the one of
// the top level holds in many places.
type accessLists map[*schema.Access]*block.List

// accessList returns the list of a block; nil for none.
func (b *builder) accessList(a *schema.Access) *block.List {
	if a == nil {
		return nil
	}
	if b.lists[a] == nil {
		b.lists[a] = block.NewList(a.Allowed, a.Denied)
		b.lists[a].Shadow = a.Mode.V == "shadow"
		b.lists[a].Judge(placeRules(a), b.snap.Places)
	}
	return b.lists[a]
}

// access says who is let in on a listener. A peer can be turned away before its first request
// where no route has a list of its own, which might let it in.
func (b *builder) access(l *schema.Listener, sl *snapshot.Listener) {
	a := l.Access
	if a == nil {
		a = b.cfg.Access
	}
	sl.Access = b.accessList(a)
	if !slices.ContainsFunc(b.cfg.Routes, func(r *schema.Route) bool { return r.Access != nil }) && (a == nil || a.Mode.V != "shadow") {
		sl.PeerAccess = sl.Access
	}
}
