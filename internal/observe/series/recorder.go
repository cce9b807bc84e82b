package series

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/metric"
)

const (
	// Step is how far two samples are apart.
	Step = 10 * time.Second
	// Kept is how many samples are kept: an hour of them.
	Kept = 360

	// RoutesMax, UpstreamsMax and FaultsMax bound the rings; a fault has one for each route
	// where it happened.
	RoutesMax    = 200
	UpstreamsMax = 100
	FaultsMax    = 500

	// BytesMax is what all rings take together at most, 11 MB; usually there are few.
	BytesMax = (RoutesMax+UpstreamsMax)*int(unsafe.Sizeof(track{})) + (FaultsMax+CausesMax)*int(unsafe.Sizeof(tally{})) + Kept*int(unsafe.Sizeof(Moment{}))
)

// Options are what a Recorder reads.
type Options struct {
	// Read returns the counters at this moment.
	Read func() metric.Reading
	// Resident returns the resident memory of the process in bytes; nil for unknown.
	Resident func() int64
	// Causes are counted by who sees requests fail; nil for none.
	Causes *Causes
	// Clock is the clock of the causes: its present reading, and the time of day of one. Nil
	// without causes.
	Now  func() time.Duration
	Time func(time.Duration) time.Time
}

// Recorder keeps the series. Its methods are safe for concurrent use.
type Recorder struct {
	opt Options
	mu  struct {
		sync.Mutex
		taken    int // samples ever; sample i lies at i % Kept
		began    time.Time
		moments  [Kept]Moment
		accepted uint64 // as read last
		refused  uint64

		routes    map[string]*track
		upstreams map[string]*track
		faults    map[faultKey]*tally
		causes    map[Cause]*tally
		leftOut   map[string]bool
	}
}

// faultKey is a fault on a route.
type faultKey struct {
	route string
	kind  fault.Kind
}

// track is the ring of a route or an upstream.
type track struct {
	last   reading
	live   int // the sample that read it last
	points [Kept]point
}

// reading is what was counted at one moment, ever growing.
type reading struct {
	requests, errors, third uint64
	durations               metric.Durations
}

// point is by how much a reading grew in one step.
type point struct {
	requests, errors, third uint32
	buckets                 [metric.Buckets]uint32
	nanos                   uint64
}

// tally is the ring of a fault.
type tally struct {
	last        uint64
	first, seen time.Time // the ends of the first and the last step in which it happened
	live        int
	counts      [Kept]uint32
}

// New returns a recorder whose first step begins now.
func New(o Options, now time.Time) *Recorder {
	r := &Recorder{opt: o}
	r.mu.began = now
	r.mu.routes, r.mu.upstreams = map[string]*track{}, map[string]*track{}
	r.mu.faults, r.mu.leftOut = map[faultKey]*tally{}, map[string]bool{}
	r.mu.causes = map[Cause]*tally{}
	return r
}

// Run takes a sample each Step until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	t := time.NewTicker(Step)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			r.Sample(now)
		}
	}
}

// Sample takes one sample, which ends the step that the last one began.
func (r *Recorder) Sample(now time.Time) {
	in, causes := r.opt.Read(), r.causes()
	resident := r.resident()
	sortReading(&in)
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.mu.taken % Kept
	r.mu.moments[at] = r.momentLocked(&in, now, resident)
	r.mu.accepted, r.mu.refused = in.Accepted, in.Refused
	clear(r.mu.leftOut)
	for i := range in.Routes {
		route := &in.Routes[i]
		r.trackLocked(r.mu.routes, RoutesMax, route.Name, readingOfRoute(route))
		for _, f := range route.Faults {
			tallyLocked(r, r.mu.faults, FaultsMax, faultKey{route.Name, f.Kind}, f.Count, now)
		}
	}
	for i := range in.Upstreams {
		u := &in.Upstreams[i]
		r.trackLocked(r.mu.upstreams, UpstreamsMax, u.Name, readingOfUpstream(u))
	}
	for cause, c := range causes {
		tallyLocked(r, r.mu.causes, CausesMax, cause, c.count, now)
	}
	r.closeLocked()
	r.mu.taken++
}

// causes returns the failures by cause, and has those forgotten that are older than what is
// kept.
func (r *Recorder) causes() map[Cause]causeReading {
	if r.opt.Causes == nil {
		return nil
	}
	return r.opt.Causes.read(r.opt.Now() - Kept*Step)
}

func (r *Recorder) resident() int64 {
	if r.opt.Resident == nil {
		return 0
	}
	return r.opt.Resident()
}

// sortReading puts names in order, so that a bound leaves out the same ones each time.
func sortReading(in *metric.Reading) {
	slices.SortFunc(in.Routes, func(a, b metric.RouteReading) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(in.Upstreams, func(a, b metric.UpstreamReading) int { return cmp.Compare(a.Name, b.Name) })
}

func readingOfRoute(r *metric.RouteReading) reading {
	out := reading{errors: r.Classes[5], third: r.Classes[4], durations: r.Durations}
	for _, n := range r.Classes {
		out.requests += n
	}
	return out
}

func readingOfUpstream(u *metric.UpstreamReading) reading {
	return reading{requests: u.Durations.Count(), errors: u.Failed, third: u.Retried, durations: u.Durations}
}

// momentLocked returns the state of the process at the end of a step.
func (r *Recorder) momentLocked(in *metric.Reading, now time.Time, resident int64) Moment {
	m := Moment{
		At: now, Seconds: now.Sub(r.lastLocked()).Seconds(), Connections: in.Open, MemoryStage: in.MemoryStage, ResidentBytes: resident,
		Accepted: grown(r.mu.accepted, in.Accepted), Refused: grown(r.mu.refused, in.Refused),
	}
	for i := range in.Upstreams {
		u := &in.Upstreams[i]
		m.Waiting += u.Pending
		m.UpstreamActive += u.Active
		m.UpstreamIdle += u.Idle
	}
	return m
}

// lastLocked returns when the step in hand began.
func (r *Recorder) lastLocked() time.Time {
	if r.mu.taken == 0 {
		return r.mu.began
	}
	return r.mu.moments[(r.mu.taken-1)%Kept].At
}

// trackLocked writes down by how much a route or an upstream has grown.
func (r *Recorder) trackLocked(tracks map[string]*track, limit int, name string, now reading) {
	t := tracks[name]
	if t == nil {
		if len(tracks) >= limit {
			r.mu.leftOut[name] = true
			return
		}
		t = new(track)
		tracks[name] = t
	}
	t.points[r.mu.taken%Kept] = t.growth(&now)
	t.last, t.live = now, r.mu.taken
}

// growth returns by how much the counters have grown since they were last written down.
// Those that have begun anew count from zero.
func (t *track) growth(now *reading) point {
	p := point{
		requests: growth32(t.last.requests, now.requests), errors: growth32(t.last.errors, now.errors),
		third: growth32(t.last.third, now.third), nanos: grown(t.last.durations.Nanos, now.durations.Nanos),
	}
	for i := range p.buckets {
		p.buckets[i] = growth32(t.last.durations.Counts[i], now.durations.Counts[i])
	}
	return p
}

// tallyLocked writes down by how much a count has grown.
func tallyLocked[K comparable](r *Recorder, tallies map[K]*tally, limit int, key K, count uint64, now time.Time) {
	t := tallies[key]
	if t == nil {
		if len(tallies) >= limit {
			r.mu.leftOut[fmt.Sprint(key)] = true
			return
		}
		t = new(tally)
		tallies[key] = t
	}
	n := growth32(t.last, count)
	t.counts[r.mu.taken%Kept] = n
	t.last, t.live = count, r.mu.taken
	if n > 0 {
		t.seen = now
		if t.first.IsZero() {
			t.first = now
		}
	}
}

// closeLocked empties the step in the rings of names that are gone, and forgets those of
// which nothing is left.
func (r *Recorder) closeLocked() {
	for _, tracks := range []map[string]*track{r.mu.routes, r.mu.upstreams} {
		for name, t := range tracks {
			switch gone := r.mu.taken - t.live; {
			case gone >= Kept:
				delete(tracks, name)
			case gone > 0:
				t.points[r.mu.taken%Kept] = point{}
			}
		}
	}
	closeTallies(r.mu.faults, r.mu.taken)
	closeTallies(r.mu.causes, r.mu.taken)
}

func closeTallies[K comparable](tallies map[K]*tally, taken int) {
	for key, t := range tallies {
		switch gone := taken - t.live; {
		case gone >= Kept:
			delete(tallies, key)
		case gone > 0:
			t.counts[taken%Kept] = 0
		}
	}
}

// grown returns by how much a counter has grown; all of it when it has begun anew.
func grown(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

func growth32(before, now uint64) uint32 { return uint32(min(grown(before, now), 1<<32-1)) }
