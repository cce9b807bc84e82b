package upstream

import (
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/balance"
	"sentinel/internal/dataplane/sticky"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/observe/metric"
)

// Endpoint is one address behind an upstream, with what is known of it. It lives across
// reloads; all its methods may be called by any goroutine.
type Endpoint struct {
	Address string // its name in the configuration, logs and metrics
	Dial    string // "ip:port"
	Pool    *transport.Pool
	Metrics *metric.Target
	Load    *balance.Load
	ID      uint64 // what a sticky cookie calls it

	verdict atomic.Int32
	drained atomic.Bool
	since   atomic.Int64 // when it last began to take requests, on the clock; 0: from the start
	held    atomic.Int64 // places taken while the target has a limit

	requests, failures atomic.Uint64
}

// NewEndpoint returns an endpoint that nothing is known of yet.
func NewEndpoint(address, dial string, pool *transport.Pool, m *metric.Target) *Endpoint {
	return &Endpoint{Address: address, Dial: dial, Pool: pool, Metrics: m, Load: new(balance.Load), ID: sticky.TargetID(address)}
}

// Verdict is what the active checks say of an endpoint.
type Verdict int32

// The verdicts. An unknown endpoint takes requests.
const (
	Unknown Verdict = iota
	Healthy
	Unhealthy
)

// String returns the verdict in lower case.
func (v Verdict) String() string { return [...]string{"unknown", "healthy", "unhealthy"}[v] }

// Verdict returns what the active checks say.
func (e *Endpoint) Verdict() Verdict { return Verdict(e.verdict.Load()) }

// SetVerdict records what the active checks say. An endpoint that was unhealthy begins anew,
// with a slow start where one is configured. The upstream must be refreshed afterwards.
func (e *Endpoint) SetVerdict(v Verdict, now time.Duration) {
	if old := Verdict(e.verdict.Swap(int32(v))); old == Unhealthy && v == Healthy {
		e.Began(now)
	}
	e.Metrics.SetHealthy(v != Unhealthy)
}

// Drained reports whether an operator has taken the endpoint out.
func (e *Endpoint) Drained() bool { return e.drained.Load() }

// SetDrained takes the endpoint out, or back in. The upstream must be refreshed afterwards.
func (e *Endpoint) SetDrained(on bool, now time.Duration) {
	if e.drained.Swap(on) && !on {
		e.Began(now)
	}
}

// Began says that the endpoint takes requests again after a time without: a slow start
// counts from now.
func (e *Endpoint) Began(now time.Duration) { e.since.Store(int64(now)) }

// Counts returns how many requests were sent to the endpoint and how many of them failed.
func (e *Endpoint) Counts() (requests, failures uint64) { return e.requests.Load(), e.failures.Load() }

// takes reports whether the endpoint may get new requests, as far as verdicts and operators go.
func (e *Endpoint) takes() bool { return Verdict(e.verdict.Load()) != Unhealthy && !e.drained.Load() }
