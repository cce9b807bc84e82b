package upstream

import (
	"fmt"
	"time"

	"sentinel/internal/dataplane/balance"
	"sentinel/internal/dataplane/breaker"
	"sentinel/internal/observe/metric"
)

// view is what requests see of an upstream: the targets that take them now. It is immutable.
type view struct {
	targets []*Target
	weights []int // of the targets, as the policy has them
	policy  balance.Policy
	again   balance.Policy // for further tries: they take no turns away
	places  int            // requests that the targets take at once; 0 is no limit
	usable  int            // targets that are neither unhealthy nor ejected
	panics  bool
	ramping bool // a target is in its slow start
	waiting bool // a target is ejected or a breaker open: time alone can change the view
}

// Refresh builds the view anew from what is known now. Where another generation serves, its
// view is built, too: whoever learned something may be a request that came before a reload.
func (u *Upstream) Refresh(now time.Duration) {
	u.seen.Store(u.lessons.Load())
	u.mu.Lock()
	v := u.build(now)
	u.view.Store(v)
	serving := u.serving.Load()
	if serving != nil && serving != u {
		u.mu.Unlock()
		serving.Refresh(now)
		return
	}
	u.setPlaces(v.places)
	from, to := state(u.state.Swap(int32(v.state()))), v.state()
	all := len(u.mu.targets)
	u.mu.Unlock()
	if from != to && u.notify != nil {
		u.notify(u.change(from, to, v.usable, all))
	}
}

// stale reports whether something was learned that the view doesn't show yet.
func (u *Upstream) stale() bool { return u.seen.Load() != u.lessons.Load() }

// state is how an upstream stands. It outlives reloads, so that a change is told once.
type state int32

// The states of an upstream.
const (
	stateNormal state = iota
	statePanic        // too few targets are usable, so all are used
	stateDown         // no target takes requests
)

// String returns the state as events name it.
func (s state) String() string { return [...]string{"normal", "panic", "down"}[s] }

func (v *view) state() state {
	switch {
	case v.panics:
		return statePanic
	case len(v.targets) == 0:
		return stateDown
	}
	return stateNormal
}

// change describes a change of the upstream's state.
func (u *Upstream) change(from, to state, usable, all int) Change {
	c := Change{
		Kind: "panic", Upstream: u.Name, From: from.String(), To: to.String(), Worse: to > from,
		Cause: fmt.Sprintf("%d of %d targets usable", usable, all),
	}
	if to == statePanic {
		c.Cause += fmt.Sprintf(", below %d percent: all are used", u.PanicPercent)
	}
	if from == stateDown || to == stateDown {
		c.Kind = "upstream"
	}
	return c
}

// Tick refreshes the view where time alone may have changed it. It is called a few times a
// second.
func (u *Upstream) Tick(now time.Duration) {
	if u.full.over(now) && u.notify != nil {
		u.notify(Change{Kind: "queue", Upstream: u.Name, From: "full", To: "room", Cause: "no request was refused for a while"})
	}
	for _, t := range u.Targets() {
		if t.Breaker != nil {
			t.Metrics.SetBreaker(BreakerMetric(t.Breaker.State(now)))
		}
	}
	if v := u.view.Load(); v.ramping || v.waiting || u.stale() {
		u.Refresh(now)
	}
}

// build makes the view of the present moment.
func (u *Upstream) build(now time.Duration) *view {
	v := &view{}
	var eligible, alive []*Target // all that may take requests; those not found unhealthy, but perhaps ejected
	for _, t := range u.mu.targets {
		if t.Weight == 0 || t.Drained() {
			continue
		}
		eligible = append(eligible, t)
		if t.Verdict() == Unhealthy {
			continue
		}
		alive = append(alive, t)
		if t.Outlier != nil && t.Outlier.Ejected(now) {
			v.waiting = true
			continue
		}
		v.targets = append(v.targets, t)
	}
	v.usable = len(v.targets)
	switch {
	case v.usable == 0:
		v.targets = alive // better an ejected target than none
	case v.usable*100 < u.PanicPercent*len(eligible):
		v.panics, v.targets = true, eligible
	}
	u.weigh(v, now)
	return v
}

// weigh gives the policy its members and counts the places of the targets.
func (u *Upstream) weigh(v *view, now time.Duration) {
	members := make([]balance.Member, len(v.targets))
	v.weights = make([]int, len(v.targets))
	for i, t := range v.targets {
		w := t.Weight
		since := time.Duration(t.since.Load())
		if u.SlowStart > 0 && since > 0 && now-since < u.SlowStart {
			w = balance.Ramp(w*weightScale, since, u.SlowStart, now)
			v.ramping = true
		} else if u.SlowStart > 0 {
			w *= weightScale
		}
		v.weights[i] = w
		members[i] = balance.Member{Key: t.Address, Weight: w, Load: t.Load}
		if t.Breaker != nil && t.Breaker.State(now) == breaker.Open {
			v.waiting = true
			continue
		}
		v.places += u.TargetRequestsMax
	}
	v.policy = balance.New(u.Balance, members, &u.State, balance.Options{BoundPercent: u.BoundPercent})
	v.again = v.policy
	if u.Balance == balance.RoundRobin {
		v.again = balance.New(balance.Random, members, &u.State, balance.Options{})
	}
}

// weightScale gives a slow start steps between nothing and a weight of 1.
const weightScale = 20

// Weights returns the weight that each endpoint has for the balancing now, by the
// configuration's measure; those that take nothing have none.
func (u *Upstream) Weights() map[*Endpoint]int {
	v := u.view.Load()
	weights := make(map[*Endpoint]int, len(v.targets))
	for i, t := range v.targets {
		weights[t.Endpoint] = v.weights[i]
		if u.SlowStart > 0 {
			weights[t.Endpoint] = max(v.weights[i]/weightScale, 1)
		}
	}
	return weights
}

// setPlaces tells the gate how many requests may be in progress: no more than the targets
// take, than the configuration allows, than has proved good.
func (u *Upstream) setPlaces(places int) {
	l := u.Queue
	for _, limit := range [...]int{places, u.RequestsMax, u.learned()} {
		if limit > 0 && (l.Concurrent == 0 || limit < l.Concurrent) {
			l.Concurrent = limit
		}
	}
	u.Gate.SetLimits(l)
}

// learned returns the adaptive limit; 0 for none.
func (u *Upstream) learned() int {
	if a := u.Adaptive.Load(); a != nil {
		return a.Limit()
	}
	return 0
}

// BreakerMetric is a breaker's state as the metric shows it.
func BreakerMetric(s breaker.State) metric.BreakerState {
	switch s {
	case breaker.Open:
		return metric.BreakerOpen
	case breaker.HalfOpen:
		return metric.BreakerHalfOpen
	}
	return metric.BreakerClosed
}
