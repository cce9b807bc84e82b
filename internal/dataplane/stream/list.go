package stream

import (
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// keyOf is what balancing by client goes by.
func keyOf(client []byte) uint64 { return xxhash.Sum64(client) }

// list holds the streams that are open, so that what holds for all of them can be seen to.
type list struct {
	mu struct {
		sync.Mutex
		first *stream
	}
}

func (l *list) add(x *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.links.next = l.mu.first
	if l.mu.first != nil {
		l.mu.first.links.prev = x
	}
	l.mu.first = x
}

// remove takes x out and counts what has passed since the last look.
func (l *list) remove(x *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.countLocked()
	if x.orphan != 0 {
		x.series.Orphans(-1)
	}
	if x.links.prev != nil {
		x.links.prev.links.next = x.links.next
	} else {
		l.mu.first = x.links.next
	}
	if x.links.next != nil {
		x.links.next.links.prev = x.links.prev
	}
	x.links.next, x.links.prev = nil, nil
}

func (x *stream) countLocked() {
	in, out := x.tunnel.In.Load(), x.tunnel.Out.Load()
	x.series.Moved(in-x.counted.in, out-x.counted.out)
	x.counted.in, x.counted.out = in, out
}

// Tend counts the bytes of streams that are open, and ends those whose route has been gone for
// as long as their listener lets them. It is called about once a second, and when another
// snapshot serves.
func (s *Server) Tend() {
	now := max(s.opt.Clock.Now(), 1)
	known := make(map[string]bool)
	for _, r := range s.opt.Current().Streams {
		known[r.Name] = true
	}
	s.list.mu.Lock()
	defer s.list.mu.Unlock()
	for x := s.list.mu.first; x != nil; x = x.links.next {
		x.countLocked()
		x.tendLocked(now, known[x.route.Name])
	}
}

func (x *stream) tendLocked(now time.Duration, known bool) {
	limit := x.ln.Streams.OrphanTimeout
	switch {
	case known && x.orphan != 0: // a reload has brought its route back
		x.orphan = 0
		x.series.Orphans(-1)
	case known:
	case x.orphan == 0:
		x.orphan = now
		x.series.Orphans(1)
	case limit > 0 && now-x.orphan >= limit:
		x.c.Net.Interrupt()
		x.conn.Interrupt()
	}
}
