package queue

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// startLimit is the limit before anything is known, within Min and Max.
	startLimit = 20
	// windowSamplesMin is how many requests a window must have seen before it counts; a
	// window that has seen fewer goes on.
	windowSamplesMin = 10
	// gradientMin bounds how far one window takes the limit down.
	gradientMin = 0.5
	// smoothing is how much of the way to its new value the limit goes in one window.
	smoothing = 0.5
	// baselineFall and baselineRise are the weights of a window that was faster than the
	// baseline and of one that was slower although the limit wasn't in use.
	baselineFall, baselineRise = 0.5, 0.1
	// probeEvery is after how many busy windows the baseline is measured anew, probeEarly
	// after how many in a row in which the limit fell.
	probeEvery, probeEarly = 60, 8
	// probeShare is the part of the limit that is left while the baseline is measured.
	probeShare = 0.25
	// probeWindowsMax and probeLatenciesMax, added up, bound a probe that sees too few requests.
	probeWindowsMax, probeLatenciesMax = 10, 4
)

// AdaptiveConfig bounds an Adaptive.
type AdaptiveConfig struct {
	// Min and Max bound the limit; Min is at least 1 and Max at least Min.
	Min, Max int
	// Tolerance is how many times the baseline the latency may be without the limit
	// falling: 1.5 lets about half as many requests wait inside the upstream as it works
	// on. Below 1 it is 1.5.
	Tolerance float64
	// Window is how often the limit is computed, if requests take no longer than that; 0 or
	// less is one second.
	Window time.Duration
}

// Adaptive finds how many requests an upstream should work on at once, by the gradient of
// latency: as long as one window of requests takes no longer than the baseline allows, the
// limit grows by its square root; when it takes longer the limit shrinks by the ratio.
//
// The baseline is the latency of an upstream without a queue inside. It falls with each
// faster window. It rises only by windows in which less than half of the limit was in
// use: a baseline that followed busy windows would take the queue that the limit itself
// lets in for the nature of the upstream, and rise with it without end. Where all windows
// are busy, a probe lowers the limit from time to time, to a quarter, until enough
// requests have come and gone under it; early when the limit falls and that helps
// nothing, as then it isn't the queue but the upstream that has become slower.
type Adaptive struct {
	config AdaptiveConfig

	limit     atomic.Int64 // what is in force, probes included
	tally     atomic.Uint64
	dropped   atomic.Uint64
	peak      atomic.Int64 // most in progress in this window
	windowEnd atomic.Int64
	countFrom atomic.Int64 // requests that began before are not counted

	mu struct {
		sync.Mutex
		estimate   float64       // the limit, before rounding and apart from probes
		baseline   float64       // latency in microseconds; 0 is unknown
		busy       int           // windows since the baseline could last rise
		falling    int           // windows in a row in which the limit fell
		probeUntil time.Duration // when the probe ends at the latest; 0 is no probe
	}
}

// A tally is the sum of latencies in microseconds in the high 44 bits and their number in
// the low 20, so that both are read and reset at one moment. Bounds on both keep either
// from running over: 2^19 times 30 s takes 43.8 bits.
const (
	tallyBits  = 20
	tallyMax   = 1 << (tallyBits - 1)
	latencyMax = 30 * time.Second
)

// NewAdaptive returns an Adaptive with a limit of 20 or the nearest to it that c allows.
func NewAdaptive(c AdaptiveConfig) *Adaptive {
	c.Min = max(c.Min, 1)
	c.Max = max(c.Max, c.Min)
	if !(c.Tolerance >= 1) {
		c.Tolerance = 1.5
	}
	if c.Window <= 0 {
		c.Window = time.Second
	}
	a := &Adaptive{config: c}
	a.mu.estimate = float64(min(max(startLimit, c.Min), c.Max))
	a.limit.Store(int64(a.mu.estimate))
	return a
}

// Limit returns the limit in force.
func (a *Adaptive) Limit() int { return int(a.limit.Load()) }

// Observe records a request that has ended at now after latency in the upstream, while
// inProgress requests, itself included, were there. dropped says that it failed in a way
// that speaks of overload, as by a timeout; its latency doesn't count. Observe returns the
// limit, and changed to the one caller whose request ended a window that changed it.
func (a *Adaptive) Observe(now, latency time.Duration, inProgress int, dropped bool) (limit int, changed bool) {
	if int64(now-latency) >= a.countFrom.Load() {
		a.count(latency, inProgress, dropped)
	}
	if int64(now) < a.windowEnd.Load() && a.tally.Load()&(1<<tallyBits-1) < tallyMax {
		return a.Limit(), false
	}
	if !a.mu.TryLock() {
		return a.Limit(), false // somebody else is at it
	}
	defer a.mu.Unlock()
	before := a.Limit()
	a.endWindowLocked(now)
	limit = a.Limit()
	return limit, limit != before
}

func (a *Adaptive) count(latency time.Duration, inProgress int, dropped bool) {
	if dropped {
		a.dropped.Add(1)
	} else {
		us := uint64(min(max(latency, time.Microsecond), latencyMax) / time.Microsecond)
		a.tally.Add(us<<tallyBits | 1)
	}
	for p := a.peak.Load(); int64(inProgress) > p; p = a.peak.Load() {
		if a.peak.CompareAndSwap(p, int64(inProgress)) {
			return
		}
	}
}

// window is what the requests of one window say together.
type window struct {
	latency float64 // mean in microseconds; 0 when all were dropped
	drops   float64 // share of the requests that were dropped
	peak    float64 // most in progress at once
}

func (w window) mean() time.Duration { return time.Duration(w.latency) * time.Microsecond }

func (a *Adaptive) endWindowLocked(now time.Duration) {
	end := time.Duration(a.windowEnd.Load())
	full := a.tally.Load()&(1<<tallyBits-1) >= tallyMax
	if now < end && !full {
		return // another caller has just ended it
	}
	a.windowEnd.Store(int64(now + a.config.Window))
	if end == 0 {
		return // the very first request only starts the first window
	}
	var w window
	if a.tally.Load()&(1<<tallyBits-1)+a.dropped.Load() >= windowSamplesMin {
		w = a.takeWindow()
		// The effect of a change shows after one latency; don't change again before.
		a.windowEnd.Store(int64(now + max(a.config.Window, w.mean())))
	}
	switch {
	case a.mu.probeUntil != 0:
		a.stepProbeLocked(now, w)
	case w != window{}:
		a.adjustLocked(now, w)
	}
}

func (a *Adaptive) takeWindow() window {
	tally, drops := a.tally.Swap(0), a.dropped.Swap(0)
	w := window{peak: float64(a.peak.Swap(0))}
	n := tally & (1<<tallyBits - 1)
	if n > 0 {
		w.latency = float64(tally>>tallyBits) / float64(n)
	}
	w.drops = float64(drops) / float64(n+drops)
	return w
}

// adjustLocked moves baseline and limit by a window outside of a probe.
func (a *Adaptive) adjustLocked(now time.Duration, w window) {
	m := &a.mu
	if m.baseline == 0 {
		m.baseline = w.latency
	}
	used := w.peak >= m.estimate/2
	gradient := a.gradientLocked(w)
	switch {
	case w.latency == 0:
	case w.latency < m.baseline:
		m.baseline += (w.latency - m.baseline) * baselineFall
	case !used:
		m.baseline += (w.latency - m.baseline) * baselineRise
	}
	m.busy++
	if !used {
		m.busy = 0
	}
	next := a.nextLocked(w, gradient, used)
	m.falling++
	if next >= m.estimate {
		m.falling = 0
	}
	m.estimate = next
	if m.busy >= probeEvery || m.falling >= probeEarly {
		a.startProbeLocked(now, w)
		return
	}
	a.limit.Store(int64(m.estimate))
}

// nextLocked returns the estimate that follows the one in force.
func (a *Adaptive) nextLocked(w window, gradient float64, used bool) float64 {
	now := a.mu.estimate
	next := now * gradient
	if w.drops == 0 {
		next += math.Sqrt(now)
	}
	if next > now && !used {
		next = now
	}
	next = now + (next-now)*smoothing
	return min(max(next, float64(a.config.Min)), float64(a.config.Max))
}

// gradientLocked returns by what the limit is multiplied: 1 while the latency is tolerable.
func (a *Adaptive) gradientLocked(w window) float64 {
	gradient := 1 - w.drops
	if w.latency > 0 {
		gradient *= min(1, a.config.Tolerance*a.mu.baseline/w.latency)
	}
	return max(gradient, gradientMin)
}

// startProbeLocked lowers the limit and lets what is queued in the upstream drain before
// requests count again.
func (a *Adaptive) startProbeLocked(now time.Duration, w window) {
	drained := now + w.mean()
	a.mu.busy, a.mu.falling = 0, 0
	a.mu.probeUntil = drained + probeWindowsMax*a.config.Window + probeLatenciesMax*w.mean()
	a.countFrom.Store(int64(drained))
	a.windowEnd.Store(int64(drained + a.config.Window))
	a.limit.Store(int64(max(a.mu.estimate*probeShare, float64(a.config.Min))))
}

// stepProbeLocked ends the probe when w has a latency, or when it has lasted too long.
func (a *Adaptive) stepProbeLocked(now time.Duration, w window) {
	if w.latency > 0 {
		a.mu.baseline = w.latency
	} else if now < a.mu.probeUntil {
		return
	}
	a.mu.probeUntil = 0
	a.countFrom.Store(0)
	a.limit.Store(int64(a.mu.estimate))
}
