package upstream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/balance"
	"sentinel/internal/dataplane/breaker"
	"sentinel/internal/dataplane/outlier"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/retry"
	"sentinel/internal/dataplane/sticky"
	"sentinel/internal/observe/metric"
)

// Target is an endpoint as one generation of the configuration sees it.
type Target struct {
	*Endpoint
	Weight  int               // 0 takes no new requests
	Breaker *breaker.Breaker  // nil without one
	Outlier *outlier.Detector // nil without passive health
}

// Settings are what the configuration says of an upstream.
type Settings struct {
	RequestTimeout  time.Duration // for a whole request; 0: the listener's
	ResponseTimeout time.Duration // from the request sent to the response head, and between two reads

	Balance      balance.Kind
	BoundPercent int // of consistent hashing
	HashBy       Affinity
	SlowStart    time.Duration // 0 for none
	PanicPercent int           // below so many percent of usable targets all are used; 0 never
	Sticky       *Sticky       // nil without a sticky cookie
	PassDeadline string        // field that tells a target the time left, in milliseconds; empty for none
	PassedLower  string        // the same in lower case: what clients send by that name is dropped

	// ProxyHeader is the version of the PROXY header that connections to targets begin with; 0 for
	// none.
	ProxyHeader int

	TargetRequestsMax int // in progress at one target; 0 is no limit
	RequestsMax       int // in progress at all targets together; 0 is no limit
	Queue             queue.Limits
}

// Sticky says how a client is kept on its target by a cookie.
type Sticky struct {
	Keys       *sticky.Keys
	Name       string        // of the cookie
	Attributes string        // behind its value, beginning with a semicolon
	MaxAge     time.Duration // 0 is without end
}

// Affinity says by which part of a request it is kept together with others.
type Affinity struct {
	By   AffinityKind
	Name string // of the field (in lower case), cookie or query parameter
}

// AffinityKind is a part of a request.
type AffinityKind uint8

// The parts of a request that others can share.
const (
	ByNothing AffinityKind = iota
	ByClient
	ByField
	ByCookie
	ByQuery
	ByPath
	ByHost
)

// Shared is what outlives reloads of one upstream.
type Shared struct {
	State  balance.State
	Gate   *queue.Gate // counts always, limits where something is limited
	Budget *retry.Budget
	Group  outlier.Group
	// Adaptive is the learned limit of requests in progress; nil without one.
	Adaptive atomic.Pointer[queue.Adaptive]

	lessons     atomic.Uint64 // how often something was learned that views are to show
	generations atomic.Uint64 // how many there were
	full        spell         // the queue refuses requests
	// serving is the newest generation that got targets. Older ones end with their requests:
	// what those learn is for it, too.
	serving atomic.Pointer[Upstream]
	state   atomic.Int32 // the state that was told last
}

// NewShared returns what a new upstream begins with. pending is told how many requests join
// and leave its queue.
func NewShared(pending func(delta int)) *Shared {
	return &Shared{Gate: queue.NewGate(queue.Limits{}, pending), Budget: retry.NewBudget(budgetPercent, budgetPerSecond)}
}

// The retry budget of an upstream that isn't configured: of 100 live requests so many may be
// repeated, and so many a second whatever the load.
const (
	budgetPercent   = 20
	budgetPerSecond = 3
)

// Learned says that the view is to be built anew: a breaker or an ejection has changed. It
// may be called from inside of either, whoever called them refreshes.
func (s *Shared) Learned() { s.lessons.Add(1) }

// Upstream is one generation of a named set of targets.
type Upstream struct {
	Name    string
	Metrics *metric.Upstream
	Settings
	*Shared

	notify     func(Change)
	generation uint64
	view       atomic.Pointer[view]
	seen       atomic.Uint64 // of Shared.lessons, in the view

	mu struct {
		sync.Mutex
		targets []*Target
	}
}

// Change is a change of an upstream's state that an operator wants to know of.
type Change struct {
	Kind             string // upstream, panic, breaker, ejection or failover
	Upstream, Target string
	Route            string // of a failover
	From, To, Cause  string
	Worse            bool
}

// New returns an upstream. notify is told of changes; it must not wait.
func New(name string, s Settings, shared *Shared, notify func(Change)) *Upstream {
	u := &Upstream{Name: name, Settings: s, Shared: shared, notify: notify, generation: shared.generations.Add(1)}
	u.view.Store(&view{policy: balance.New(s.Balance, nil, &shared.State, balance.Options{})})
	return u
}

// SetTargets replaces the targets. Requests in progress keep the ones they have. The newest
// generation that has got targets is the one that serves.
func (u *Upstream) SetTargets(targets []*Target, now time.Duration) {
	for s := u.serving.Load(); s == nil || s.generation < u.generation; s = u.serving.Load() {
		if u.serving.CompareAndSwap(s, u) {
			break
		}
	}
	u.mu.Lock()
	u.mu.targets = targets
	u.mu.Unlock()
	u.Group.SetSize(len(targets))
	u.Refresh(now)
}

// Targets returns all targets, usable or not. The slice must not be changed.
func (u *Upstream) Targets() []*Target {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.mu.targets
}

// Recovered says that the checks find e healthy which they had found unhealthy: an ejection
// for what it answered before is over, an open breaker begins its trials, and the view is
// built anew.
func (u *Upstream) Recovered(e *Endpoint, now time.Duration) {
	for _, t := range u.Targets() {
		if t.Endpoint != e {
			continue
		}
		if t.Outlier != nil {
			t.Outlier.Return(now)
		}
		if t.Breaker != nil {
			t.Breaker.Recovered(now)
		}
	}
	u.Refresh(now)
}

// Refused takes note of a request that the queue had no place for, and says so when it is
// the first in a while.
func (u *Upstream) Refused(now time.Duration) {
	if u.full.again(now) && u.notify != nil {
		u.notify(Change{
			Kind: "queue", Upstream: u.Name, From: "room", To: "full", Worse: true,
			Cause: fmt.Sprintf("%d requests in progress, %d wait", u.Gate.InProgress(), u.Gate.Pending()),
		})
	}
}

// Learn feeds the adaptive limit with a try that has ended.
func (u *Upstream) Learn(now, latency time.Duration, o Outcome) {
	a := u.Adaptive.Load()
	if a == nil || o == Nothing {
		return
	}
	if _, changed := a.Observe(now, latency, u.Gate.InProgress(), o == Failed); changed {
		u.Refresh(now)
	}
}

// Usable reports whether any target takes requests.
func (u *Upstream) Usable() bool { return len(u.view.Load().targets) > 0 }

// Panics reports whether so few targets are usable that all are used.
func (u *Upstream) Panics() bool { return u.view.Load().panics }
