package listen

import (
	"context"
	"errors"
	"net"
	"slices"
	"syscall"
	"time"
)

// Spec is one listener as the configuration wants it.
type Spec struct {
	Name      string
	Addresses []string // "host:port"; an empty host is every address
	At        string   // where it stands in the configuration, for messages
	Secure    bool     // clients speak TLS: who is refused gets an alert
	// MaxConnections and MaxPerClient bound its open connections; 0 is no limit.
	MaxConnections int64
	MaxPerClient   int64
	Shadow         Shadow
	// Senders are who begins connections with a PROXY header; nil for nobody.
	Senders *Senders
	// Silent says that clients don't expect HTTP: those that are refused are reset.
	Silent bool
}

// Shadow bounds what is open in shadow mode: connections above are counted and let in. 0 is no
// bound.
type Shadow struct{ MaxConnections, MaxPerClient int64 }

// Plan is all listeners that the configuration wants.
type Plan struct {
	Listeners []Spec
	// MaxConnections and MaxPerClient bound the open connections of the process; 0 is no
	// limit.
	MaxConnections int64
	MaxPerClient   int64
	Shadow         Shadow
	// DrainLimit is how long connections of a listener that is removed may go on.
	DrainLimit time.Duration
}

// Change is a prepared change of the listeners: everything new is bound, nothing old is
// touched. It must be committed or aborted before the next one is prepared.
type Change struct {
	registry *Registry
	plan     Plan
	next     []entry
	fresh    []*socket          // bound or inherited by this change
	shared   []*net.TCPListener // old ones that let a fresh one overlap them
}

// entry is a listener of the next generation with its sockets.
type entry struct {
	listener *Listener
	spec     *Spec
	sockets  []*socket
}

// Prepare binds every address of plan that isn't bound yet. Its error joins a BindError
// for each address that can't be; then nothing has changed.
func (r *Registry) Prepare(plan Plan) (*Change, error) {
	c := &Change{registry: r, plan: plan}
	all := wantedBy(&c.plan)
	c.assignListeners()
	inherited := c.takeInherited(all)
	var errs []error
	for i := range all {
		s, err := c.socketFor(&all[i], all, inherited[i])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e := c.entryOf(all[i].spec.Name)
		e.sockets = append(e.sockets, s)
	}
	if len(errs) > 0 {
		c.Abort()
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// assignListeners finds the listener of each name, or makes one in a free slot.
func (c *Change) assignListeners() {
	r := c.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := slices.Clone(r.mu.slots)
	for i := range c.plan.Listeners {
		spec := &c.plan.Listeners[i]
		at := slices.IndexFunc(taken, func(l *Listener) bool { return l != nil && l.name == spec.Name })
		if at < 0 {
			if at = slices.Index(taken, nil); at < 0 {
				taken = append(taken, nil)
				at = len(taken) - 1
			}
			taken[at] = newListener(r, spec.Name, at)
		}
		c.next = append(c.next, entry{listener: taken[at], spec: spec})
	}
}

func (c *Change) entryOf(name string) *entry {
	return &c.next[slices.IndexFunc(c.next, func(e entry) bool { return e.listener.name == name })]
}

// Slot returns the slot that the listener of that name has, or -1.
func (c *Change) Slot(name string) int {
	if i := slices.IndexFunc(c.next, func(e entry) bool { return e.listener.name == name }); i >= 0 {
		return c.next[i].listener.slot
	}
	return -1
}

// takeInherited returns the inherited socket for each address, or nil. It comes before any
// address is bound: what nobody takes may be in the way of one.
func (c *Change) takeInherited(all []wanted) []*net.TCPListener {
	taken := make([]*net.TCPListener, len(all))
	for i := range all {
		if c.bound(&all[i]) == nil {
			taken[i] = c.registry.inherited.take(&all[i])
		}
	}
	return taken
}

// bound returns the socket that has the address already, or nil.
func (c *Change) bound(w *wanted) *socket {
	for _, s := range c.registry.sockets() {
		if s.key == w.key {
			return s
		}
	}
	return nil
}

// socketFor returns the socket for one address: the one that is bound already, the one that
// was inherited if there is one, or a new one.
func (c *Change) socketFor(w *wanted, all []wanted, inherited *net.TCPListener) (*socket, error) {
	if s := c.bound(w); s != nil {
		return s, nil
	}
	if inherited != nil {
		return c.opened(inherited, w), nil
	}
	ln, err := bind(w.network, w.address, false)
	if errors.Is(err, syscall.EADDRINUSE) {
		if leaving := c.leaving(w, all); len(leaving) > 0 {
			ln, err = c.bindBeside(w, leaving)
		}
	}
	if err != nil {
		return nil, &BindError{Listener: w.spec.Name, At: w.spec.At, Address: w.address, Err: err}
	}
	return c.opened(ln, w), nil
}

func (c *Change) opened(ln *net.TCPListener, w *wanted) *socket {
	s := newSocket(ln, w.key)
	c.fresh = append(c.fresh, s)
	return s
}

// leaving returns the bound and the inherited sockets that overlap w and that the plan
// doesn't keep, such as 0.0.0.0:80 when a reload moves to 127.0.0.1:80.
func (c *Change) leaving(w *wanted, all []wanted) []*net.TCPListener {
	leaving := c.registry.inherited.overlapping(w.address)
	for _, s := range c.registry.sockets() {
		kept := slices.ContainsFunc(all, func(o wanted) bool { return o.key == s.key })
		if !kept && overlaps(s.ln.Addr().String(), w.address) {
			leaving = append(leaving, s.ln)
		}
	}
	return leaving
}

// bindBeside binds w while sockets that overlap it are still open.
func (c *Change) bindBeside(w *wanted, leaving []*net.TCPListener) (*net.TCPListener, error) {
	for _, old := range leaving {
		setShared(old, true)
	}
	c.shared = append(c.shared, leaving...)
	ln, err := bind(w.network, w.address, true)
	if err == nil {
		setShared(ln, false)
	}
	return ln, err
}

// Abort gives up what was prepared.
func (c *Change) Abort() {
	for _, s := range c.fresh {
		s.ln.Close()
	}
	for _, old := range c.shared {
		setShared(old, false)
	}
}

// Commit makes the plan real: sockets pass to their new listeners, limits change, new
// sockets accept, the others take what has connected already and close, and listeners
// that are gone drain in the background.
func (c *Change) Commit() {
	r := c.registry
	r.gate.SetLimit(c.plan.MaxConnections)
	r.clients.SetLimit(c.plan.MaxPerClient)
	r.gate.SetShadow(c.plan.Shadow.MaxConnections)
	r.clients.SetShadow(c.plan.Shadow.MaxPerClient)
	r.drainLimit.Store(int64(c.plan.DrainLimit))
	var keep []*socket
	for _, e := range c.next {
		e.listener.revive()
		e.listener.gate.SetLimit(e.spec.MaxConnections)
		e.listener.clients.SetLimit(e.spec.MaxPerClient)
		e.listener.gate.SetShadow(e.spec.Shadow.MaxConnections)
		e.listener.clients.SetShadow(e.spec.Shadow.MaxPerClient)
		e.listener.secure.Store(e.spec.Secure)
		e.listener.senders.Store(e.spec.Senders)
		e.listener.silent.Store(e.spec.Silent)
		for _, s := range e.sockets {
			s.owner.Store(e.listener)
		}
		keep = append(keep, e.sockets...)
	}
	r.Shed()
	gone, removed := r.replace(keep, c.next)
	r.startAll(c.fresh)
	for _, s := range gone {
		s.stop()
	}
	for _, s := range gone {
		<-s.done
	}
	for _, l := range removed {
		var ctx context.Context
		ctx, l.stopDrain = context.WithCancel(r.life)
		r.drains.Add(1)
		go r.drainRemoved(ctx, l)
	}
}

// revive ends the drain of a listener that an earlier change had removed.
func (l *Listener) revive() {
	l.registry.mu.Lock()
	l.draining.Store(false)
	l.registry.mu.Unlock()
	if l.stopDrain != nil {
		l.stopDrain()
		l.stopDrain = nil
	}
}

// replace installs the next generation and returns what is left of the last one.
func (r *Registry) replace(sockets []*socket, next []entry) (gone []*socket, removed []*Listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.mu.sockets {
		if !slices.Contains(sockets, s) {
			gone = append(gone, s)
		}
	}
	r.mu.sockets = sockets
	for _, l := range r.mu.slots {
		stays := slices.ContainsFunc(next, func(e entry) bool { return e.listener == l })
		if l != nil && !stays && !l.draining.Load() {
			l.draining.Store(true)
			removed = append(removed, l)
		}
	}
	for _, e := range next {
		for len(r.mu.slots) <= e.listener.slot {
			r.mu.slots = append(r.mu.slots, nil)
		}
		r.mu.slots[e.listener.slot] = e.listener
	}
	return gone, removed
}

// sockets returns what is bound.
func (r *Registry) sockets() []*socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.mu.sockets)
}
