package exchange

import (
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/observe/flight"
	"sentinel/internal/observe/metric"
)

// newEnded returns an exchange that has ended.
func newEnded(f *flight.Recorder) (*exchange, *metric.Route) {
	m := metric.New(metric.Options{Cells: 1}).Route("r")
	x := &exchange{}
	x.p = &Proxy{opt: Options{Flight: f}}
	x.req = &message.Request{Client: &message.Client{}, Received: time.Second}
	x.ln = &snapshot.Listener{Name: "l"}
	x.id, x.status, x.at = []byte("id"), 200, 2*time.Second
	return x, m
}

func TestKeep(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		fault  fault.Kind
		fast   bool // the route has had enough that were slower
		want   string
	}{
		{"well and fast", 200, fault.None, true, ""},
		{"well and slow", 200, fault.None, false, "slow"},
		{"the upstream's own error", 500, fault.None, true, "failed"},
		{"its refusal", 404, fault.None, true, ""},
		{"a fault", 502, fault.UpstreamRefused, true, "failed"},
		{"a fault after the head", 200, fault.UpstreamTruncated, true, "failed"},
		{"a refusal", 429, fault.RateLimited, true, "refused"},
		{"a tunnel", 101, fault.None, false, ""},
	} {
		f := flight.New(1)
		x, m := newEnded(f)
		x.status, x.fault = c.status, c.fault
		for c.fast && m.MaySlow(time.Second) {
			m.Slow(time.Hour)
		}
		if x.notable(m, time.Second) {
			x.keep(m, time.Second)
		}
		got := ""
		for _, e := range f.Find(&flight.Query{}, time.Hour, func(time.Duration) time.Time { return time.Time{} }) {
			got += e.Class
		}
		if got != c.want {
			t.Errorf("%s is kept as %q, want %q", c.name, got, c.want)
		}
	}
}

func TestKeepDoesNotAllocate(t *testing.T) {
	f := flight.New(1)
	x, m := newEnded(f)
	x.fault, x.status = fault.UpstreamRefused, 502
	keep := func() {
		x.at += time.Second
		x.triedCount = 0
		x.noteTry(fault.UpstreamReset)
		x.keep(m, time.Second)
	}
	for range 10_000 {
		keep()
	}
	if n := testing.AllocsPerRun(1000, keep); n != 0 {
		t.Errorf("keep allocates %v times", n)
	}
}

// What the flight recorder costs a request that is well and fast: the marks of its phases, a
// look for the field that asks to be kept among ten, and one comparison.
func BenchmarkHealthy(b *testing.B) {
	x, m := newEnded(flight.New(1))
	for m.MaySlow(time.Second) {
		m.Slow(time.Hour)
	}
	x.req.Head.Fields = make([]message.Field, 10)
	for b.Loop() {
		x.phases.admit = x.at
		if x.req.Head.Find(message.FieldSentinelExplain) >= 0 {
			x.askedFor()
		}
		x.phases.content = x.at
		x.phases.queue = x.at
		if x.phases.retry == 0 {
			x.phases.retry = x.at
		}
		x.phases.answer = 0
		x.phases.answer = x.at
		if x.notable(m, time.Second) {
			x.keep(m, time.Second)
		}
		x.phases, x.triedCount = phases{}, 0
	}
}
