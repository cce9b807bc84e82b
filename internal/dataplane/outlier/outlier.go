// Package outlier ejects a target from the choice of its upstream for a while, by what the
// requests sent to it came to. Two forms do so: failures in a row, where no usable response
// came, and gateway errors in a row, where the target answered that it couldn't serve.
//
// The nth ejection of a target lasts n times as long as the first, up to a maximum; n falls
// by one for each such period that it spends well. Never more than a share of the group of
// targets is ejected, so that a fault which all of them share doesn't take away the last.
//
// Each result costs a few loads. What changes is decided under the mutex of the group, which
// is taken only when a run is long enough, an ejection ends, or someone asks for a change.
// There are no timers: an ejection that is over ends by the next call.
package outlier

import (
	"strconv"
	"sync/atomic"
	"time"
)

// Config says what ejects a target, and for how long. A form whose count is 0 is off.
type Config struct {
	ConsecutiveFailures      int           // failures in a row that eject
	ConsecutiveGatewayErrors int           // gateway errors in a row that eject
	Ejection                 time.Duration // how long the first ejection lasts; default 30s
	EjectionMax              time.Duration // how long one lasts at most; default 300s, never less than Ejection
	MaxEjectedPercent        int           // of the group; one of two or more whatever the percentage; 0: none
}

// Outcome is what a request said of the target.
type Outcome uint8

// The outcomes of a request. Only OK ends a run, and a gateway error where that form is off:
// a target that fails in two ways by turns is no better than one that fails in one.
const (
	OK           Outcome = iota
	Failure              // no usable response: connect, reset, timeout
	GatewayError         // the target answered 502, 503 or 504
	Ignored              // says nothing: the client went away, or the fault was our own
)

// Change is what happened to a target, as told to whoever watches.
type Change struct {
	Ejected bool          // whether the target is ejected now
	Refused bool          // it should have been ejected, but too many of the group are
	Cause   string        // short fixed text, such as "5 failures in a row"
	At      time.Duration // on the clock of the process
	Until   time.Duration // when Ejected: when it ends, on the same clock
	Level   int           // when Ejected: how many times as long as the first it lasts, the maximum aside
}

// Detector is the passive health of one target. Make it by New; its methods may be called by
// many goroutines at once. Every now is on the clock of the process and may lag a little
// behind the now of another call.
type Detector struct {
	failures      atomic.Int32 // in a row
	gatewayErrors atomic.Int32 // in a row
	until         atomic.Int64 // when the ejection ends; 0: not ejected
	cfg           atomic.Pointer[Config]
	group         *Group
	onChange      func(Change)

	level     int           // of the last ejection; this and what follows: under the mutex of the group
	wellSince time.Duration // when the last ejection ended
	refusedAt time.Duration // when an ejection was last refused
	refused   bool          // whether that was told
	closed    bool
}

// New returns the detector of a target that isn't ejected. It belongs to g, whose size the
// caller sets. onChange, if not nil, is told each change, one of the group at a time and in
// order, by the goroutine of a call that made or noticed one; detectors may be used in it.
func New(cfg Config, g *Group, onChange func(Change)) *Detector {
	d := &Detector{group: g, onChange: onChange}
	d.cfg.Store(fill(cfg))
	return d
}

func fill(cfg Config) *Config {
	if cfg.Ejection <= 0 {
		cfg.Ejection = 30 * time.Second
	}
	if cfg.EjectionMax <= 0 {
		cfg.EjectionMax = 300 * time.Second
	}
	cfg.EjectionMax = max(cfg.EjectionMax, cfg.Ejection)
	return &cfg
}

func (c *Config) off() bool { return c.ConsecutiveFailures <= 0 && c.ConsecutiveGatewayErrors <= 0 }

// Configure changes what ejects the target and for how long. Runs and ejections stay, save
// that the next call ends an ejection which the new configuration doesn't allow: no form is
// on, or too many of the group are ejected.
func (d *Detector) Configure(cfg Config) {
	d.cfg.Store(fill(cfg))
	d.group.recheck.Store(true)
}

// Done takes the outcome of a request that ended at now. While the target is ejected,
// outcomes count for nothing.
func (d *Detector) Done(now time.Duration, o Outcome) {
	if o == Ignored || d.until.Load() != 0 && d.Ejected(now) {
		return
	}
	cfg := d.cfg.Load()
	switch {
	case o == Failure && cfg.ConsecutiveFailures <= 0:
	case o == Failure:
		d.count(&d.failures, cfg.ConsecutiveFailures, now)
	case o == GatewayError && cfg.ConsecutiveGatewayErrors > 0:
		d.count(&d.gatewayErrors, cfg.ConsecutiveGatewayErrors, now)
	default:
		end(&d.failures)
		end(&d.gatewayErrors)
	}
}

// end ends a run. It writes only where there is one, since the line is shared.
func end(run *atomic.Int32) {
	if run.Load() != 0 {
		run.Store(0)
	}
}

// count lengthens a run, and asks for an ejection when it is long enough.
func (d *Detector) count(run *atomic.Int32, most int, now time.Duration) {
	if n := run.Add(1); int(n) >= most {
		d.group.eject(d, now)
	}
}

// takeRun returns why the target is to be ejected, or "", and ends both runs if it is.
func (d *Detector) takeRun(cfg *Config) string {
	failures, gatewayErrors := int(d.failures.Load()), int(d.gatewayErrors.Load())
	cause := ""
	switch {
	case cfg.ConsecutiveFailures > 0 && failures >= cfg.ConsecutiveFailures:
		cause = runCause(failures, "failure")
	case cfg.ConsecutiveGatewayErrors > 0 && gatewayErrors >= cfg.ConsecutiveGatewayErrors:
		cause = runCause(gatewayErrors, "gateway error")
	default:
		return "" // another call has taken it
	}
	d.failures.Store(0)
	d.gatewayErrors.Store(0)
	return cause
}

func runCause(n int, what string) string {
	if n == 1 {
		return "a " + what
	}
	return strconv.Itoa(n) + " " + what + "s in a row"
}

// Ejected reports whether the target is ejected at now.
func (d *Detector) Ejected(now time.Duration) bool {
	until := d.until.Load()
	if until == 0 {
		return false
	}
	if int64(now) < until && !d.group.recheck.Load() {
		return true
	}
	d.group.notice(now)
	return d.until.Load() != 0
}

// Until returns when the ejection ends, on the clock of the process; 0 when the target isn't
// ejected at now.
func (d *Detector) Until(now time.Duration) time.Duration {
	if !d.Ejected(now) {
		return 0
	}
	return time.Duration(d.until.Load())
}

// Return ends an ejection, as an operator or an active check may ask. How long the next one
// lasts doesn't change by it.
func (d *Detector) Return(now time.Duration) { d.group.giveBack(d, now) }

// Close ends the detector of a target that leaves: its ejection, if any, no longer counts in
// the group, and it is never ejected again. Nothing is told.
func (d *Detector) Close() { d.group.leave(d) }
