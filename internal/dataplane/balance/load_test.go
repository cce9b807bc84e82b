package balance

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

func TestLatency(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	type sample struct {
		at, latency time.Duration
		failed      bool
	}
	for _, test := range []struct {
		name     string
		samples  []sample
		at       time.Duration
		min, max time.Duration
	}{
		{"none", nil, s, 0, 0},
		{"first", []sample{{s, 10 * ms, false}}, s, 10 * ms, 10 * ms},
		{"a rise counts at once", []sample{{s, 10 * ms, false}, {s, 500 * ms, false}}, s, 500 * ms, 500 * ms},
		{"a fall doesn't", []sample{{s, 500 * ms, false}, {s + 100*ms, 10 * ms, false}}, s + 100*ms, 450 * ms, 499 * ms},
		{"a fall counts in time", []sample{{s, 500 * ms, false}, {30 * s, 10 * ms, false}}, 30 * s, 10 * ms, 25 * ms},
		{"the same stays", []sample{{s, 10 * ms, false}, {5 * s, 10 * ms, false}, {9 * s, 10 * ms, false}}, 9 * s, 9900 * time.Microsecond, 10100 * time.Microsecond},
		{"it halves in 4.3 s", []sample{{s, 100 * ms, false}}, s + 4295*ms, 48 * ms, 52 * ms},
		{"it decays to nothing", []sample{{s, 100 * ms, false}}, time.Hour, 0, 0},
		{"a stamp ahead of now", []sample{{2 * s, 100 * ms, false}}, s, 100 * ms, 100 * ms},
		{"a quick failure raises", []sample{{s, 10 * ms, false}, {s, ms, true}}, s, 20 * ms, 20 * ms},
		{"a failure of the unknown", []sample{{s, ms, true}}, s, s, s},
		{"a penalty counts", []sample{{s, 10 * ms, false}, {s, 5 * s, true}}, s, 5 * s, 5 * s},
		{"failures alone have an end", []sample{{s, 8 * s, false}, {s, ms, true}, {s, ms, true}}, s, 10 * s, 10 * s},
		{"a negative latency", []sample{{s, -5, false}}, s, 1, 1},
	} {
		var l Load
		for _, x := range test.samples {
			l.Begin(x.at)
			l.End(x.at, x.latency, x.failed)
		}
		if got := l.Latency(test.at); got < test.min || got > test.max {
			t.Errorf("%s: Latency = %v, want %v to %v", test.name, got, test.min, test.max)
		}
		if l.InFlight() != 0 {
			t.Errorf("%s: InFlight = %d", test.name, l.InFlight())
		}
	}
}

func TestLoadIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(Load{}); got != 16 {
		t.Errorf("a Load takes %d bytes, want 16", got)
	}
	l := new(Load)
	if got := testing.AllocsPerRun(100, func() { l.Begin(0); l.End(1, 1, false); l.Latency(2) }); got != 0 {
		t.Errorf("a request counted allocates %v times", got)
	}
}

// traffic simulates requests that come evenly at a rate to members with given latencies.
type traffic struct {
	policy  Policy
	members []Member
	latency func(member int, now time.Duration) time.Duration
	ends    ends
	counts  []int
}

type end struct {
	at, latency time.Duration
	member      int
}

type ends []end

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].at < e[j].at }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)        { *e = append(*e, x.(end)) }
func (e *ends) Pop() any          { x := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return x }

func (s *traffic) run(from, to, every time.Duration) []int {
	s.counts = make([]int, len(s.members))
	r := Request{}
	for now := from; now < to; now += every {
		for len(s.ends) > 0 && s.ends[0].at <= now {
			e := heap.Pop(&s.ends).(end)
			s.members[e.member].Load.End(e.at, e.latency, false)
		}
		r.Now, r.Key = now, r.Key+1
		at := s.policy.Pick(&r)
		s.counts[at]++
		s.members[at].Load.Begin(now)
		l := s.latency(at, now)
		heap.Push(&s.ends, end{now + l, l, at})
	}
	return s.counts
}

func parts(counts []int) []float64 {
	sum := 0
	for _, c := range counts {
		sum += c
	}
	out := make([]float64, len(counts))
	for i, c := range counts {
		out[i] = float64(c) / float64(sum)
	}
	return out
}

// With members alike and requests in flight, parts follow the weights as well.
func TestPartsFollowWeightsUnderLoad(t *testing.T) {
	weights := []int{3, 1, 2, 2}
	for _, every := range []time.Duration{50 * time.Microsecond, time.Millisecond, 30 * time.Millisecond} {
		each(t, func(t *testing.T, k Kind) {
			random := rand.New(rand.NewPCG(1, 2))
			s := &traffic{members: membersOf(weights...), latency: func(int, time.Duration) time.Duration {
				return 8*time.Millisecond + time.Duration(random.IntN(4e6))
			}}
			s.policy = New(k, s.members, seeded(3), Options{})
			s.run(0, every*2000, every)
			got := parts(s.run(every*2000, every*42000, every))
			for i, w := range weights {
				if want := float64(w) / 8; got[i] < want*0.8 || got[i] > want*1.2 {
					t.Errorf("every %v: parts of weights %v = %.3f", every, weights, got)
					break
				}
			}
		})
	}
}

// A slow member gets less under the kinds that look at load, and its part again when it is
// quick again.
func TestSlowMemberGetsLess(t *testing.T) {
	for _, test := range []struct {
		kind      Kind
		every     time.Duration
		most      float64 // of the slow one of 4
		recovered float64
	}{
		{LeastTime, time.Millisecond, 0.05, 0.15},
		{LeastTime, 20 * time.Millisecond, 0.05, 0.1},
		{PeakEWMA, time.Millisecond, 0.05, 0.15},
		{PeakEWMA, 20 * time.Millisecond, 0.05, 0.15},
		{LeastConnections, time.Millisecond, 0.12, 0.2},
		{PowerOfTwo, time.Millisecond, 0.16, 0.2},
	} {
		const ms, s = time.Millisecond, time.Second
		sim := &traffic{members: equal(4), latency: func(m int, now time.Duration) time.Duration {
			if m == 2 && now > 20*s && now < 80*s {
				return 400 * ms
			}
			return 10 * ms
		}}
		sim.policy = New(test.kind, sim.members, seeded(5), Options{})
		before := parts(sim.run(0, 20*s, test.every))
		sim.run(20*s, 25*s, test.every)
		slow := parts(sim.run(25*s, 80*s, test.every))
		sim.run(80*s, 120*s, test.every)
		after := parts(sim.run(120*s, 180*s, test.every))
		if before[2] < 0.2 || before[2] > 0.3 || slow[2] > test.most || slow[2] == 0 || after[2] < test.recovered {
			t.Errorf("%v every %v: part of a member before, while slow, after = %.3f %.4f %.3f; want about 0.25, at most %v, at least %v",
				test.kind, test.every, before[2], slow[2], after[2], test.most, test.recovered)
		}
	}
}

// A member that nothing is known of is tried at once, but not flooded before it answers.
func TestNewMemberIsTriedNotFlooded(t *testing.T) {
	for _, k := range []Kind{LeastTime, PeakEWMA} {
		const s = time.Second
		members := equal(4)
		sim := &traffic{members: members, latency: func(m int, now time.Duration) time.Duration {
			if m == 3 {
				return 5 * s
			}
			return 10 * time.Millisecond
		}}
		sim.policy = New(k, members[:3], seeded(7), Options{})
		sim.run(0, 10*s, 5*time.Millisecond)
		sim.policy = New(k, members, seeded(7), Options{})
		if got := sim.run(10*s, 14*s, 5*time.Millisecond)[3]; got < 1 || got > 20 {
			t.Errorf("%v: a new member that hangs gets %d of 800 requests, want a few", k, got)
		}
	}
}

func TestLeastConnectionsIsStrict(t *testing.T) {
	members := equal(50)
	for i, m := range members {
		for range 5 + i%2 {
			m.Load.Begin(0)
		}
	}
	free := 31
	members[free].Load.End(0, 1, false)
	members[free].Load.End(0, 1, false)
	p := build(LeastConnections, members)
	for range 5000 {
		if got := p.Pick(&Request{}); got != free {
			t.Fatalf("Pick = %d, want %d, which has the fewest", got, free)
		}
	}
}

// timed returns a load with one sample.
func timed(at, latency time.Duration) *Load {
	l := new(Load)
	l.Begin(at)
	l.End(at, latency, false)
	return l
}

// Latency alone, with nothing in flight, keeps the timed kinds from a slow member and
// doesn't concern the others.
func TestLatencyAlone(t *testing.T) {
	for _, test := range []struct {
		kind     Kind
		min, max float64
	}{
		{PeakEWMA, 0, 0.01},
		{LeastTime, 0.02, 0.05},
		{LeastConnections, 0.23, 0.27},
		{PowerOfTwo, 0.23, 0.27},
	} {
		members := equal(4)
		for i, latency := range []time.Duration{10, 10, 100, 10} {
			members[i].Load = timed(time.Second, latency*time.Millisecond)
		}
		p, r, slow := build(test.kind, members), Request{Now: time.Second}, 0
		for range 20000 {
			if p.Pick(&r) == 2 {
				slow++
			}
		}
		if got := float64(slow) / 20000; got < test.min || got > test.max {
			t.Errorf("%v: part of the slow one of 4 idle members = %.3f, want %v to %v", test.kind, got, test.min, test.max)
		}
	}
}

// Of two members alike whose latencies vary, each keeps its weight's part though both are
// drawn each time.
func TestPairKeepsWeights(t *testing.T) {
	members, random := membersOf(3, 1), rand.New(rand.NewPCG(1, 1))
	p, r, heavy := build(PeakEWMA, members), Request{Now: time.Second}, 0
	for range 40000 {
		for i := range members {
			once := timed(time.Second, time.Duration(10+random.IntN(20))*time.Millisecond)
			members[i].Load.estimate.Store(once.estimate.Load())
		}
		if p.Pick(&r) == 0 {
			heavy++
		}
	}
	if got := float64(heavy) / 40000; got < 0.735 || got > 0.765 {
		t.Errorf("part of weight 3 of 4 = %.3f, want 0.75", got)
	}
}
