package metric

import (
	"sync/atomic"
	"time"
)

// Stream is the handle of the series of the streams of one route to one upstream.
type Stream struct {
	route, upstream string
	durations       []histogram // by cell
	opened, closed  atomic.Uint64
	in, out         atomic.Uint64
	orphans         atomic.Int64
	usage           // guarded by the registry's lock
}

// StreamKey names the streams of a route to an upstream among all.
func StreamKey(route, upstream string) string { return route + " " + upstream }

// Stream returns the handle of the streams of a route to an upstream, the same one for as long
// as Sweep keeps it.
func (r *Registry) Stream(route, upstream string) *Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return lookUp(r.mu.streams, StreamKey(route, upstream), func() *Stream {
		return &Stream{route: route, upstream: upstream, durations: make([]histogram, r.cells)}
	})
}

// Opened counts a stream that has reached its upstream.
func (s *Stream) Opened() { s.opened.Add(1) }

// Closed counts the end of one, and how long it lasted.
func (s *Stream) Closed(cell int, d time.Duration) {
	s.closed.Add(1)
	s.durations[uint(cell)&uint(len(s.durations)-1)].observe(d)
}

// Moved counts bytes from and to clients.
func (s *Stream) Moved(in, out int64) {
	s.in.Add(uint64(in))
	s.out.Add(uint64(out))
}

// Orphans adds to the streams whose route has left the configuration.
func (s *Stream) Orphans(delta int64) { s.orphans.Add(delta) }

func streamFamilies() []family {
	return []family{
		row("sentinel_streams_total", Counter, "Streams of listeners with protocol tcp that have reached an upstream.",
			func(v *view, e emitter) {
				for _, s := range v.streams {
					e.counter(float64(s.opened.Load()), s.route, s.upstream)
				}
			}, "route", "upstream"),
		row("sentinel_open_streams", Gauge, "Streams that are open.",
			func(v *view, e emitter) {
				for _, s := range v.streams {
					closed := s.closed.Load() // first, so that it is never more than what was opened
					e.gauge(float64(s.opened.Load()-closed), s.route, s.upstream)
				}
			}, "route", "upstream"),
		row("sentinel_orphaned_streams", Gauge, "Open streams whose route has left the configuration; they end at its orphan-timeout-secs.",
			func(v *view, e emitter) {
				for _, s := range v.streams {
					e.gauge(float64(s.orphans.Load()), s.route, s.upstream)
				}
			}, "route", "upstream"),
		row("sentinel_stream_bytes_total", Counter, "Bytes of streams: in from clients, out to clients.",
			func(v *view, e emitter) {
				for _, s := range v.streams {
					e.counter(float64(s.in.Load()), "in", s.route, s.upstream)
					e.counter(float64(s.out.Load()), "out", s.route, s.upstream)
				}
			}, "direction", "route", "upstream"),
		row("sentinel_stream_duration_seconds", Histogram, "How long streams lasted that have ended.",
			func(v *view, e emitter) {
				for _, s := range v.streams {
					var t total
					for i := range s.durations {
						t.add(&s.durations[i])
					}
					e.histogram(&t, s.route, s.upstream)
				}
			}, "route", "upstream"),
	}
}
