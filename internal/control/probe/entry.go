package probe

import (
	"context"
	"math/rand/v2"
	"time"
)

// phase is where an entry stands: waiting -> queued -> running -> waiting.
type phase uint8

const (
	waiting phase = iota // for its timer
	queued               // for a worker
	running              // in a worker's hands
)

// entry is a target with what is known of it. The Prober's lock guards all of it.
type entry struct {
	target Target
	check  Check // the target's, with its defaults

	phase      phase
	gone       bool // no longer in the set
	again      bool // somebody wants another probe after the one that runs
	generation int  // counts the questions; the answer to an older one is dropped
	cancel     context.CancelCauseFunc
	timer      *time.Timer
	next       time.Time

	state             State
	since             time.Time
	streak            int
	passing           bool // the streak is one of successes
	settled           bool // has been put at its place in the interval
	last, lastFailure *Transcript
}

func newEntry(t Target) *entry {
	e := &entry{}
	e.renew(t)
	return e
}

// renew takes a new question: counting begins anew, the verdict stays.
func (e *entry) renew(t Target) {
	e.target, e.check = t, t.Check.withDefaults()
	e.streak, e.settled = 0, false
	e.generation++
	if e.since.IsZero() {
		e.since = time.Now()
	}
}

// cutOff ends the probe that runs, if one does, and has its answer dropped.
func (e *entry) cutOff() {
	e.generation++
	if e.cancel != nil {
		e.cancel(errStopped)
	}
}

// count takes the result of a probe and reports whether the verdict changed by it.
func (e *entry) count(t *Transcript) (changed bool) {
	e.last = t
	if !t.OK {
		e.lastFailure = t
	}
	if t.Own {
		return false
	}
	if e.streak > 0 && e.passing == t.OK {
		e.streak++
	} else {
		e.streak, e.passing = 1, t.OK
	}
	to, needed := Unhealthy, e.check.Unhealthy
	if t.OK {
		to, needed = Healthy, e.check.Healthy
	}
	if e.state == to || e.state != Unknown && e.streak < needed {
		return false
	}
	e.state, e.since = to, time.Now()
	return true
}

// Where probes stand in time.
const (
	firstSpread     = 200 * time.Millisecond // first probes begin within this time ...
	firstSpreadPart = 10                     // ... and this part of the interval
	restMin         = 100 * time.Millisecond // between the end of a probe and the next
)

// soon returns when the first probe of a question begins.
func (e *entry) soon() time.Duration {
	return rand.N(min(firstSpread, e.check.Interval/firstSpreadPart) + 1)
}

// gap returns the time from the start of the last probe to that of the next. The first gap
// of a healthy target is drawn from half an interval, so that targets which began together
// don't stay together.
func (e *entry) gap() time.Duration {
	interval := e.check.Interval
	if e.state == Unhealthy || e.last != nil && e.last.Own {
		interval = e.check.IntervalDown
	} else if !e.settled {
		e.settled = true
		return interval/2 + rand.N(interval/2+1)
	}
	return jittered(interval, e.check.JitterPercent)
}

// jittered returns d plus or minus up to percent of it, evenly spread, at least 1 ms.
func jittered(d time.Duration, percent int) time.Duration {
	half := d / 100 * time.Duration(percent)
	return max(d-half+rand.N(2*half+1), time.Millisecond)
}

func (e *entry) result() Result {
	r := Result{
		Target: e.target, State: e.state, Since: e.since, Streak: e.streak,
		Last: e.last, LastFailure: e.lastFailure, Probing: e.phase != waiting,
	}
	if !r.Probing {
		r.Next = e.next
	}
	return r
}
