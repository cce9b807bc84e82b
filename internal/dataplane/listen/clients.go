package listen

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
)

const (
	// clientShards spreads the table over that many locks; a power of two.
	clientShards = 32
	// clientPrefixBits is how much of an IPv6 address names a client: whoever has one
	// address usually has the whole /64.
	clientPrefixBits = 64
	// shardKeepMax is the number of entries up to which an emptied shard keeps its memory.
	shardKeepMax = 256
)

// Clients is a Gate for each client address. An address has an entry only while it has
// a connection open, so the table is never larger than the number of connections.
type Clients struct {
	seed   maphash.Seed
	limit  atomic.Int64
	shadow atomic.Int64 // a limit that only counts
	shards [clientShards]clientShard
}

type clientShard struct {
	mu struct {
		sync.Mutex
		open map[netip.Addr]int64
		peak int // entries since the map was made
	}
}

// NewClients returns an empty table without a limit.
func NewClients() *Clients { return &Clients{seed: maphash.MakeSeed()} }

// SetLimit sets how many connections one client may have; 0 or less is no limit.
func (t *Clients) SetLimit(n int64) { t.limit.Store(n) }

// SetShadow sets a limit that refuses nobody and that Beyond asks about; 0 or less is none.
func (t *Clients) SetShadow(n int64) { t.shadow.Store(n) }

// Beyond reports whether the client a has more than the limit in shadow mode would allow.
func (t *Clients) Beyond(a netip.Addr) bool {
	limit := t.shadow.Load()
	return limit > 0 && t.Open(a) > limit
}

// Limit returns the limit; 0 or less is none.
func (t *Clients) Limit() int64 { return t.limit.Load() }

// ClientKey returns the address under which a's connections are counted: IPv4 as it
// is, also when mapped into IPv6, and the /64 of IPv6.
func ClientKey(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() || a.IsLoopback() {
		return a.WithZone("")
	}
	p, _ := a.WithZone("").Prefix(clientPrefixBits) // fails only for more bits than it has
	return p.Addr()
}

// Enter counts one more for the client a, a ClientKey, unless that would exceed the
// limit, and reports whether it did.
func (t *Clients) Enter(a netip.Addr) bool { return t.count(a, t.limit.Load()) }

// Force counts one more whatever the limit.
func (t *Clients) Force(a netip.Addr) { t.count(a, 0) }

func (t *Clients) count(a netip.Addr, limit int64) bool {
	s := t.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.mu.open[a]
	if limit > 0 && n >= limit {
		return false
	}
	if s.mu.open == nil {
		s.mu.open = make(map[netip.Addr]int64)
	}
	s.mu.open[a] = n + 1
	s.mu.peak = max(s.mu.peak, len(s.mu.open))
	return true
}

// Leave undoes one Enter that returned true, or one Force.
func (t *Clients) Leave(a netip.Addr) {
	s := t.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.mu.open[a]; n > 1 {
		s.mu.open[a] = n - 1
		return
	}
	delete(s.mu.open, a)
	if len(s.mu.open) == 0 && s.mu.peak > shardKeepMax {
		s.mu.open, s.mu.peak = nil, 0 // give back what a flood has left
	}
}

// Open returns how many connections the client a has.
func (t *Clients) Open(a netip.Addr) int64 {
	s := t.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.open[a]
}

// Len returns how many clients have a connection open.
func (t *Clients) Len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.mu.open)
		s.mu.Unlock()
	}
	return n
}

func (t *Clients) shard(a netip.Addr) *clientShard {
	return &t.shards[maphash.Comparable(t.seed, a)%clientShards]
}

// Crowd is what clients with many connections have.
type Crowd struct {
	Clients     int   // that have more than was asked for
	Connections int64 // of theirs that are above it
	Largest     netip.Addr
	Most        int64 // connections of the largest, whether or not it has too many
}

// Above returns who has more than limit connections now.
func (t *Clients) Above(limit int64) (c Crowd) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for a, n := range s.mu.open {
			if n > limit {
				c.Clients++
				c.Connections += n - limit
			}
			if n > c.Most {
				c.Largest, c.Most = a, n
			}
		}
		s.mu.Unlock()
	}
	return c
}
