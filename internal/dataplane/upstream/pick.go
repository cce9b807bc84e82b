package upstream

import (
	"slices"
	"time"

	"sentinel/internal/dataplane/balance"
	"sentinel/internal/dataplane/breaker"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/outlier"
)

// TriesMax bounds how many targets one request is sent to at one upstream.
const TriesMax = 10

// Choice is the choice of targets for one request at one upstream, try by try. The zero
// Choice is ready; it lives in its exchange and must be Done after each Pick that found a
// target.
type Choice struct {
	Key    uint64 // what the request is kept together by
	Sticky uint64 // the target that its cookie names; 0 for none
	Target *Target

	up      *Upstream
	view    *view
	request balance.Request // here, so that it isn't allocated
	now     time.Duration
	pass    breaker.Pass
	held    bool // a place at Target is taken
	judged  bool // whoever judges Target has been told of the try
	again   bool // targets that were tried are taken again

	tried     [TriesMax]*Endpoint
	tries     int
	open      bool // a breaker said no
	saturated bool // a target was at its limit
}

// Pick chooses the next target and takes a place there. Targets that were tried come again
// only when no other is left. Errors are faults.
func (u *Upstream) Pick(c *Choice, now time.Duration) error {
	c.up, c.view, c.now = u, u.view.Load(), now
	c.open, c.saturated, c.again = false, false, false
	i := u.pick(c)
	if i < 0 && c.tries > 0 {
		c.again = true
		i = u.pick(c)
	}
	if i < 0 {
		return c.refused()
	}
	c.judged = false
	c.Target = c.view.targets[i]
	c.Target.Load.Begin(now)
	if c.tries < TriesMax {
		c.tried[c.tries] = c.Target.Endpoint
		c.tries++
	}
	return nil
}

func (u *Upstream) pick(c *Choice) int {
	if c.Sticky != 0 && c.tries == 0 {
		at := func(t *Target) bool { return t.ID == c.Sticky }
		if i := slices.IndexFunc(c.view.targets, at); i >= 0 && c.Takes(i) {
			return i
		}
	}
	c.request = balance.Request{Key: c.Key, Now: c.now, Filter: c}
	if c.tries > 0 {
		return c.view.again.Pick(&c.request)
	}
	return c.view.policy.Pick(&c.request)
}

// Beside returns a choice of another target for the same request, for a try beside the one
// that c has under way.
func (c *Choice) Beside() Choice {
	return Choice{Key: c.Key, tried: c.tried, tries: c.tries}
}

// Joined takes note of the targets that another choice has tried.
func (c *Choice) Joined(other *Choice) { c.tried, c.tries = other.tried, other.tries }

// Refused reports whether the last Pick found no target.
func (c *Choice) Refused() bool { return c.Target == nil }

// Untried reports whether a target is left that the request wasn't sent to.
func (c *Choice) Untried() bool { return c.view != nil && c.tries < len(c.view.targets) }

// refused says why no target was found.
func (c *Choice) refused() error {
	switch {
	case c.saturated:
		return fault.UpstreamConnectionLimit
	case c.open:
		return fault.BreakerOpen
	}
	return fault.NoTarget
}

// Takes implements balance.Filter: it reports whether the target takes this request, and
// takes a place there if so.
func (c *Choice) Takes(i int) bool {
	t := c.view.targets[i]
	if !c.again && slices.Contains(c.tried[:c.tries], t.Endpoint) {
		return false
	}
	if !c.view.panics && !t.takes() { // the view is older than that
		return false
	}
	if limit := c.up.TargetRequestsMax; limit > 0 {
		if t.held.Add(1) > int64(limit) {
			t.held.Add(-1)
			c.saturated = true
			return false
		}
		c.held = true
	}
	if t.Breaker == nil {
		return true
	}
	pass, ok := t.Breaker.Allow(c.now)
	if !ok {
		c.open = true
		c.free(t)
		return false
	}
	c.pass = pass
	return true
}

func (c *Choice) free(t *Target) {
	if c.held {
		c.held = false
		t.held.Add(-1)
	}
}

// Outcome is what became of a try.
type Outcome uint8

// The outcomes.
const (
	OK           Outcome = iota
	Failed               // no whole response came
	ServerError          // a response of 5xx, other than GatewayError
	GatewayError         // 502, 503 or 504
	Nothing              // it says nothing of the target: the client left, or we failed
)

// Connected tells whoever judges the target that it has taken a connection which may last
// long; the place there stays taken until Done, which tells nobody any more.
func (c *Choice) Connected(now, latency time.Duration) {
	c.judged = true
	c.judge(now, latency, OK)
}

// judge tells whoever judges the target what became of a try.
func (c *Choice) judge(now, latency time.Duration, o Outcome) {
	t := c.Target
	t.requests.Add(1)
	if o != OK && o != Nothing {
		t.failures.Add(1)
	}
	if t.Breaker != nil {
		t.Breaker.Done(c.pass, now, latency, breakerOutcome(o))
	}
	if t.Outlier != nil {
		t.Outlier.Done(now, outlierOutcome(o))
	}
	if c.up.stale() {
		c.up.Refresh(now)
	}
}

// Done ends the try at c.Target, once: its place is free again, and whoever judges the
// target is told. latency is the time to the response head.
func (c *Choice) Done(now, latency time.Duration, o Outcome) {
	t := c.Target
	if t == nil {
		return
	}
	t.Load.End(now, latency, o == Failed)
	c.free(t)
	if !c.judged {
		c.judge(now, latency, o)
	}
	c.Target = nil
}

func breakerOutcome(o Outcome) breaker.Outcome {
	switch o {
	case OK:
		return breaker.Success
	case Nothing:
		return breaker.Ignored
	}
	return breaker.Failure
}

func outlierOutcome(o Outcome) outlier.Outcome {
	switch o {
	case Failed:
		return outlier.Failure
	case GatewayError:
		return outlier.GatewayError
	case Nothing:
		return outlier.Ignored
	}
	return outlier.OK
}
