package metric

import (
	"math"
	"time"

	"sentinel/internal/dataplane/fault"
)

// Reading is what the handles have counted by one moment, for who keeps a history of it.
type Reading struct {
	Routes      []RouteReading
	Upstreams   []UpstreamReading
	Open        uint64 // client connections
	Accepted    uint64 // client connections ever
	Refused     uint64 // client connections that were ended as soon as they were accepted
	MemoryStage int    // 0 ample to 3 short
}

// RouteReading is what a route has counted.
type RouteReading struct {
	Name      string
	Classes   [statusClasses]uint64 // answers by the first digit of the status; [0] are all others
	Durations Durations
	Faults    []FaultReading // that happened at least once
}

// FaultReading is how often a fault happened.
type FaultReading struct {
	Kind  fault.Kind
	Count uint64
}

// UpstreamReading is what an upstream has counted, and its state.
type UpstreamReading struct {
	Name                  string
	Durations             Durations // of whole responses
	Failed                uint64    // tries that brought no response or one of 5xx
	Retried               uint64
	Pending, Active, Idle int // requests that wait; connections
}

// statusClasses is the number of first digits of a status, 0 included.
const statusClasses = 6

// Durations is a histogram of durations at one moment. The zero value has none.
type Durations struct {
	Counts [buckets]uint64
	Nanos  uint64
}

// Buckets is the number of counts in Durations, the unbounded one included.
const Buckets = buckets

// Count returns how many durations there are.
func (d *Durations) Count() uint64 { return (*total)(d).count() }

// Quantile returns an estimate of the q-quantile: within the bucket where it lies, durations
// are taken to be spread evenly. 0 when there are none; the last bound for what is above it.
func (d *Durations) Quantile(q float64) time.Duration {
	n := d.Count()
	if n == 0 {
		return 0
	}
	rank := min(max(uint64(math.Ceil(q*float64(n))), 1), n)
	var below uint64
	lower := time.Duration(0)
	for i, c := range d.Counts {
		if i == len(bounds) {
			break
		}
		if c > 0 && below+c >= rank {
			return lower + time.Duration(float64(bounds[i]-lower)*float64(rank-below)/float64(c))
		}
		below, lower = below+c, bounds[i]
	}
	return lower
}

// Read returns what is counted by now. It takes the lock of the handles for a moment and
// waits for nobody who counts.
func (r *Registry) Read() Reading {
	v := r.view()
	out := Reading{MemoryStage: int(r.process.memoryStage.Load())}
	for _, route := range v.routes {
		out.Routes = append(out.Routes, route.read())
	}
	for _, u := range v.upstreams {
		out.Upstreams = append(out.Upstreams, u.read())
	}
	for _, l := range v.listeners {
		open, accepted := l.connections()
		out.Open += open
		out.Accepted += accepted
	}
	for i := range r.process.connectionsRefused {
		out.Refused += r.process.connectionsRefused[i].Load()
	}
	return out
}

func (r *Route) read() RouteReading {
	durations, codes := r.counts()
	out := RouteReading{Name: r.name, Durations: Durations(durations)}
	for i, n := range codes {
		class := (i + codeFirst) / 100
		if i == len(codes)-1 {
			class = 0
		}
		out.Classes[class] += n
	}
	if f := r.faults.Load(); f != nil {
		for k := range f {
			if n := f[k].Load(); n > 0 {
				out.Faults = append(out.Faults, FaultReading{Kind: fault.Kind(k), Count: n})
			}
		}
	}
	return out
}

func (u *Upstream) read() UpstreamReading {
	out := UpstreamReading{
		Name: u.name, Durations: Durations(u.latency()), Failed: u.failed.Load(), Retried: u.retried.Load(), Pending: int(u.pending.Load()),
	}
	if f := u.pool.Load(); f != nil {
		s := (*f)()
		out.Active, out.Idle = s.Active, s.Idle
	}
	return out
}
