package listen

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// Options are what a Registry works with.
type Options struct {
	Clock   *netio.Clock
	Handler Handler
	// Inherited are sockets that the process was started with; may be nil.
	Inherited *Inherited
	// Hold keeps sockets from accepting until Open: another process accepts from them still.
	Hold bool
	// Screen is asked of each new connection whether its peer may connect at all, and counts
	// those that may not: they are reset. sender says that the peer is one that hands on the
	// connections of others. May be nil.
	Screen func(l *Listener, peer netip.Addr, sender bool) bool
	// Dropped is told of each connection that was reset for want of a PROXY header; may be nil.
	Dropped func(l *Listener, peer netip.Addr, k fault.Kind)
	// Refused is told of each client that got a canned answer; may be nil.
	Refused func(l *Listener, client netip.Addr, k fault.Kind)
	// Shadowed is told of each connection that a limit in shadow mode would have refused; may be
	// nil.
	Shadowed func(k fault.Kind)
	// AcceptFailed is told of errors of accept(2), which mostly mean that the process is
	// out of descriptors; may be nil.
	AcceptFailed func(l *Listener, err error)
	// Panicked is told of a panic in the handler, which costs only its connection.
	Panicked func(value any, stack []byte)
}

// Registry holds the listeners of the process. One goroutine changes it (Prepare,
// Commit, Abort, Drain, Close); the other methods may be called from anywhere.
type Registry struct {
	clock     *netio.Clock
	handler   Handler
	opt       Options
	local     func(netip.Addr) bool // which clients pass the limits: the loopback
	gate      Gate
	clients   *Clients
	health    healthConns
	reserve   reserve
	refusals  refusals
	inherited *Inherited

	tight, short atomic.Bool // memory is

	drainLimit atomic.Int64    // how long connections of a removed listener may go on
	idleClosed atomic.Int64    // when closeIdle last ran, on the clock
	life       context.Context // until Close
	endLife    context.CancelFunc
	drains     sync.WaitGroup // of listeners that were removed

	mu struct {
		sync.Mutex
		slots   []*Listener // by slot; nil once a listener is gone
		sockets []*socket
		held    bool // until Open
	}
}

// NewRegistry returns a registry without listeners.
func NewRegistry(opt Options) *Registry {
	r := &Registry{
		clock: opt.Clock, handler: opt.Handler, opt: opt, inherited: opt.Inherited, local: netip.Addr.IsLoopback,
		clients: NewClients(), refusals: newRefusals(),
	}
	r.life, r.endLife = context.WithCancel(context.Background())
	r.mu.held = opt.Hold
	r.reserve.short.Store(true)
	r.reserve.refill()
	go r.runShedding()
	return r
}

// Connections returns the gate over all client connections of the process.
func (r *Registry) Connections() *Gate { return &r.gate }

// Clients returns the connections of the process by client.
func (r *Registry) Clients() *Clients { return r.clients }

// Listeners returns the listeners that exist, by slot, those that still drain included.
func (r *Registry) Listeners() []*Listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.mu.slots), func(l *Listener) bool { return l == nil })
}

// Binding is one bound address.
type Binding struct {
	Listener string
	Slot     int
	Address  string // as bound, with the port the system chose for port 0
}

// Bindings returns what is bound now, in the order of the slots.
func (r *Registry) Bindings() []Binding {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Binding
	for _, s := range r.mu.sockets {
		l := s.owner.Load()
		all = append(all, Binding{l.name, l.slot, s.ln.Addr().String()})
	}
	slices.SortStableFunc(all, func(a, b Binding) int { return cmp.Compare(a.Slot, b.Slot) })
	return all
}

func (r *Registry) screen(l *Listener, peer netip.Addr, sender bool) bool {
	return r.opt.Screen == nil || r.opt.Screen(l, peer, sender)
}

func (r *Registry) dropped(l *Listener, peer netip.Addr, k fault.Kind) {
	if r.opt.Dropped != nil {
		r.opt.Dropped(l, peer, k)
	}
}

func (r *Registry) refusedBy(l *Listener, client netip.Addr, k fault.Kind) {
	if r.opt.Refused != nil {
		r.opt.Refused(l, client, k)
	}
}

func (r *Registry) shadowed(k fault.Kind) {
	if r.opt.Shadowed != nil {
		r.opt.Shadowed(k)
	}
}

func (r *Registry) acceptFailed(l *Listener, err error) {
	if r.opt.AcceptFailed != nil {
		r.opt.AcceptFailed(l, err)
	}
}

func (r *Registry) panicked(value any, stack []byte) {
	if r.opt.Panicked == nil {
		panic(value)
	}
	r.opt.Panicked(value, stack)
}

// closeIdleAfter is how long a connection must have been idle to be closed for want of
// descriptors; closeIdleEvery bounds how often that happens.
const (
	closeIdleAfter = time.Second
	closeIdleEvery = 100 * time.Millisecond
)

// closeIdle ends up to about n connections, those idle the longest first.
func (r *Registry) closeIdle(now time.Duration, n int) {
	last := r.idleClosed.Load()
	if last != 0 && now-time.Duration(last) < closeIdleEvery || !r.idleClosed.CompareAndSwap(last, int64(now)) {
		return
	}
	var since []int64
	for _, l := range r.Listeners() {
		l.conns.each(func(c *Conn) {
			if at := c.idleSince.Load(); at != 0 && at <= int64(now-closeIdleAfter) {
				since = append(since, at)
			}
		})
	}
	if len(since) == 0 {
		return
	}
	slices.Sort(since)
	before := time.Duration(since[min(n, len(since))-1])
	for _, l := range r.Listeners() {
		l.conns.interruptIdle(before)
	}
}
