package listen

// Pulse looks whether the accept loops of a registry are alive: one hangs when a connection
// waits for it and it has done nothing since the last look, when one waited too. It belongs
// to one goroutine.
type Pulse struct {
	registry *Registry
	waited   map[*socket]uint64 // turns of the loops for which a connection waited
}

// NewPulse returns the pulse of r.
func NewPulse(r *Registry) *Pulse { return &Pulse{registry: r} }

// Hanging returns the addresses whose accept loops have hung since the last call.
func (p *Pulse) Hanging() []string {
	var hanging []string
	waits := make(map[*socket]uint64)
	for _, s := range p.registry.sockets() {
		turns := s.turns.Load()
		if !s.pending() || p.registry.holds() {
			continue
		}
		waits[s] = turns
		if last, waited := p.waited[s]; waited && last == turns {
			hanging = append(hanging, s.ln.Addr().String())
		}
	}
	p.waited = waits
	return hanging
}

func (r *Registry) holds() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.held
}
