package admin

import (
	"encoding/json"
	"time"
)

// The states of a target.
const (
	TargetHealthy   = "healthy"
	TargetUnhealthy = "unhealthy" // by its checks
	TargetUnknown   = "unknown"   // not checked, or not yet
	TargetEjected   = "ejected"   // for a while, by what its answers were
	TargetDraining  = "draining"  // by an operator; requests are in progress
	TargetDrained   = "drained"
)

// The states of a breaker.
const (
	BreakerClosed   = "closed"
	BreakerOpen     = "open"
	BreakerHalfOpen = "half-open"
)

// UpstreamStatus is one upstream with its targets.
type UpstreamStatus struct {
	Name       string         `json:"name"`
	Balancing  string         `json:"balancing"`
	Panic      bool           `json:"panic"`              // too few targets are healthy, so all are used
	Drained    bool           `json:"drained"`            // an operator drains it as a whole: it takes nothing new
	InProgress int            `json:"in_progress"`        // requests at its targets
	Pending    int            `json:"pending"`            // requests in its queue
	Fallback   []string       `json:"fallback,omitempty"` // the upstreams that routes name for when this one can't serve
	Targets    []TargetStatus `json:"targets"`
}

// TargetStatus is one target. A name that stands for several addresses is several targets
// with one Address.
type TargetStatus struct {
	Address         string          `json:"address"`            // as configured
	Resolved        string          `json:"resolved,omitempty"` // ip:port where Address has a name
	Weight          int             `json:"weight"`
	EffectiveWeight int             `json:"effective_weight"` // less than Weight while it starts slowly, 0 while it takes nothing
	State           string          `json:"state"`
	Since           time.Time       `json:"since,omitzero"` // of State
	Cause           string          `json:"cause,omitempty"`
	Breaker         BreakerStatus   `json:"breaker,omitzero"`
	EjectedUntil    time.Time       `json:"ejected_until,omitzero"`
	InProgress      int             `json:"in_progress"`
	Open            int             `json:"connections_open"`
	Idle            int             `json:"connections_idle"`
	LatencyMillis   float64         `json:"latency_millis"` // as the balancer sees it; 0 before the first request
	Requests        uint64          `json:"requests"`
	Failures        uint64          `json:"failures"`
	Probe           json.RawMessage `json:"probe,omitempty"`      // transcript of the last probe
	ProbeText       []string        `json:"probe_text,omitempty"` // the same in lines for people
}

// BreakerStatus is the breaker of a target; State is empty where it has none.
type BreakerStatus struct {
	State string    `json:"state"`
	Cause string    `json:"cause,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"` // when an open one lets a request through again
}

// Upstreams are what the API shows and drains. Its methods are called from any goroutine.
type Upstreams interface {
	// Upstreams returns all of them in the order of the configuration.
	Upstreams() []UpstreamStatus
	// Drain lets a target, or where that is empty an upstream, take no new requests, or
	// undoes that. Both names are known ones; the target's is an Address or a Resolved. Of the
	// result it fills in Changed, InProgress, Until and Notes. The event that somebody has asked is
	// the caller's; the one that the last request has left is the implementation's, unless
	// InProgress is 0. Draining again for some seconds gives the drain another end.
	Drain(q DrainRequest, by Actor) (DrainResult, error)
}

// DrainRequest asks for a drain.
type DrainRequest struct {
	Upstream string `json:"upstream"`
	Target   string `json:"target,omitempty"` // empty for the whole upstream
	Undo     bool   `json:"undo,omitempty"`
	Reason   string `json:"reason,omitempty"` // for the log and for colleagues
	// Seconds is for how long; 0 until it is undone, or as long as the drain that is there.
	Seconds int64 `json:"seconds,omitempty"`
}

// DrainResult says what a drain has changed.
type DrainResult struct {
	Upstream   string `json:"upstream"`
	Target     string `json:"target,omitempty"`
	Drained    bool   `json:"drained"`     // what holds now: it takes no new requests
	Changed    bool   `json:"changed"`     // false: that held before
	InProgress int    `json:"in_progress"` // requests that it still serves
	By         Actor  `json:"by"`
	// Until is when it ends by itself; zero when it doesn't.
	Until time.Time `json:"until,omitzero"`
	Notes []string  `json:"notes,omitempty"` // what the operator should know
	Undo  string    `json:"undo"`            // the command that undoes it
}

// Takes reports whether a target takes new requests, panic and queues aside.
func (t *TargetStatus) Takes() bool {
	return (t.State == TargetHealthy || t.State == TargetUnknown) && t.Breaker.State != BreakerOpen && t.Weight > 0
}

// Usable returns how many targets take new requests.
func (u *UpstreamStatus) Usable() int {
	n := 0
	for i := range u.Targets {
		if !u.Drained && u.Targets[i].Takes() {
			n++
		}
	}
	return n
}

// Known reports whether a target of the upstream goes by that name, an Address or a Resolved.
func (u *UpstreamStatus) Known(target string) bool {
	for i := range u.Targets {
		if u.Targets[i].Is(target) {
			return true
		}
	}
	return false
}

// Is reports whether the target goes by that name.
func (t *TargetStatus) Is(name string) bool {
	return name != "" && (t.Address == name || t.Resolved == name)
}
