package probe

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Options are what a Prober reports to and reaches targets by. Verdict and Probed are
// called from the goroutine that probed, one at a time for each target, any number at a
// time for several; they may call the Prober, all but Close. A target that was just removed
// may be reported once more.
type Options struct {
	Verdict func(Verdict)             // called with the first verdict on a target and each change; may be nil
	Probed  func(Target, *Transcript) // called with every probe, before Verdict; may be nil
	Dialer  Dialer                    // nil is a net.Dialer
	Lookup  Lookup                    // nil is the system's resolver
	Log     *slog.Logger              // gets a line for each verdict and, at level debug, each failed probe; nil is none
}

// State is what is known of a target.
type State uint8

// The states of a target.
const (
	Unknown State = iota // no probe has ended
	Healthy
	Unhealthy
)

// String returns the state's name.
func (s State) String() string { return [...]string{"unknown", "healthy", "unhealthy"}[s] }

// MarshalText returns the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *State) UnmarshalText(text []byte) error {
	for k := range Unhealthy + 1 {
		if k.String() == string(text) {
			*s = k
			return nil
		}
	}
	return errors.New("unknown state")
}

// Verdict is a change of what is known of a target.
type Verdict struct {
	Target
	Healthy    bool
	First      bool // the first since the target is known
	Transcript Transcript
	Streak     int // probes in a row that ended like the last one
}

// Result is how a target stands.
type Result struct {
	Target      Target
	State       State
	Since       time.Time   // of the state; of Unknown, since when it is probed
	Streak      int         // probes in a row that ended like the last one that counted
	Last        *Transcript // nil before the first probe has ended
	LastFailure *Transcript // nil when none failed
	Probing     bool        // a probe is under way or waits for its place
	Next        time.Time   // when the next probe begins; zero while Probing
}

// Errors of ProbeNow.
var (
	ErrUnknownTarget = errors.New("no such target with a health check")
	ErrClosed        = errors.New("health checks have ended")
)

// Prober probes targets until it is closed. Its methods are called from any goroutine.
type Prober struct {
	opt  Options
	done sync.WaitGroup // the workers

	mu struct {
		sync.Mutex
		closed  bool
		entries map[name]*entry
		order   []*entry // as Set was given them
		queues
	}
}

// name is what makes a target that of another Set.
type name struct{ upstream, address, dial string }

func (t *Target) name() name { return name{t.Upstream, t.Address, orElse(t.Dial, t.Address)} }

// New returns a Prober without targets.
func New(opt Options) *Prober {
	if opt.Dialer == nil {
		opt.Dialer = &net.Dialer{KeepAlive: -1} // a probe ends long before keep-alive would act
	}
	if opt.Lookup == nil {
		opt.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	p := &Prober{opt: opt}
	p.mu.entries = make(map[name]*entry)
	return p
}

// Set makes targets the ones that are probed; those without a Check and repeated ones are
// left out. A target that stays keeps its verdict, streak and schedule. One whose check has
// changed keeps its verdict, counts anew and is probed soon. The others are forgotten and a
// probe of theirs that is under way is cut off. Set doesn't wait for any of it.
func (p *Prober) Set(targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return
	}
	kept := make(map[name]bool, len(targets))
	p.mu.order = make([]*entry, 0, len(targets))
	for _, t := range targets {
		if n := t.name(); t.Check != nil && !kept[n] {
			kept[n] = true
			p.mu.order = append(p.mu.order, p.takeLocked(n, t))
		}
	}
	for n, e := range p.mu.entries {
		if !kept[n] {
			p.dropLocked(n, e)
		}
	}
}

// takeLocked returns the entry of a target, new or brought up to date.
func (p *Prober) takeLocked(n name, t Target) *entry {
	e := p.mu.entries[n]
	switch {
	case e == nil:
		e = newEntry(t)
		p.mu.entries[n] = e
		p.waitLocked(e, e.soon())
	case e.gone: // back before its last probe has ended
		*e = entry{phase: e.phase, generation: e.generation, cancel: e.cancel, timer: e.timer}
		e.renew(t)
	case !e.target.Check.same(t.Check):
		e.renew(t)
		e.cutOff()
		if e.phase == waiting {
			p.waitLocked(e, e.soon())
		}
	default:
		e.target = t
	}
	return e
}

// dropLocked forgets a target. The entry of one that is being probed stays until that has
// ended, so that no second probe of the same target runs beside it.
func (p *Prober) dropLocked(n name, e *entry) {
	e.gone = true
	e.cutOff()
	if e.timer != nil {
		e.timer.Stop()
	}
	if e.phase != running {
		delete(p.mu.entries, n)
	}
}

// Results returns how each target stands, in the order that Set was given.
func (p *Prober) Results() []Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Result, len(p.mu.order))
	for i, e := range p.mu.order {
		out[i] = e.result()
	}
	return out
}

// Pending returns the targets of which nothing is known yet.
func (p *Prober) Pending() []Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Target
	for _, e := range p.mu.order {
		if e.state == Unknown {
			out = append(out, e.target)
		}
	}
	return out
}

// ProbeNow has a target probed at once, or once more when a probe is under way; its result
// counts like any. address is the target's Address or where it is dialled. ProbeNow doesn't
// wait. It returns ErrUnknownTarget or ErrClosed.
func (p *Prober) ProbeNow(upstream, address string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return ErrClosed
	}
	err := ErrUnknownTarget
	for _, e := range p.mu.order {
		if e.target.Upstream != upstream || e.target.Address != address && e.target.Dial != address {
			continue
		}
		err = nil
		switch e.phase {
		case waiting:
			p.waitLocked(e, 0)
		case running:
			e.again = true
		}
	}
	return err
}

// Close ends all probes and waits until nothing of the Prober runs. Results stay. It must
// not be called from the functions of Options.
func (p *Prober) Close() {
	p.mu.Lock()
	p.mu.closed = true
	for _, e := range p.mu.entries {
		e.cutOff()
		if e.timer != nil {
			e.timer.Stop()
		}
	}
	p.mu.Unlock()
	p.done.Wait()
}
