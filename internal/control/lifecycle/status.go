package lifecycle

import (
	"os"
	"slices"
	"time"

	"sentinel/internal/control/admin"
)

// rateEvery is how often the counts of the routes are sampled: rates are over the time
// since the sample before the last, which is one to two times that.
const rateEvery = 10 * time.Second

// rates remembers two samples of the routes' counts.
type rates struct {
	before, last sample
}

type sample struct {
	at     time.Time
	counts map[string]RouteCount
}

func (p *Process) sampleRates() {
	if p.opt.Traffic == nil {
		return
	}
	s := takeSample(p.opt.Traffic(), time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.rates.before, p.mu.rates.last = p.mu.rates.last, s
}

func takeSample(all []RouteCount, at time.Time) sample {
	s := sample{at, make(map[string]RouteCount, len(all))}
	for _, c := range all {
		s.counts[c.Route] = c
	}
	return s
}

// reference is the sample that rates are counted from: the one before the last, or the
// start of the process while there is none.
func (r *rates) reference(started time.Time) sample {
	if r.before.at.IsZero() {
		return sample{at: started}
	}
	return r.before
}

// Status implements admin.Process.
func (p *Process) Status() admin.Status {
	p.mu.Lock()
	current, generation, last := p.mu.current, p.mu.generation, p.mu.last
	metrics, adminAt, since := p.mu.metrics, p.mu.admin, p.mu.rates.reference(p.started)
	p.mu.Unlock()
	s := admin.Status{
		Version: p.opt.Version.Version, PID: os.Getpid(), Started: p.started,
		UptimeSeconds: time.Since(p.started).Seconds(),
		State:         p.state.String(), Reasons: p.opt.NotReady(),
		ConfigFile: p.opt.ConfigFile, Generation: generation, LastReload: last, Metrics: metrics, Admin: adminAt,
		Connections: p.registry.Connections().Open(), Limit: p.registry.Connections().Limit(),
		Listeners: p.listenerStatus(),
	}
	s.Ready = len(s.Reasons) == 0
	if p.opt.Overrides != nil {
		s.Overrides = p.opt.Overrides.Overrides()
	}
	s.ConfigState = p.configState()
	if current != nil {
		s.Upstreams = p.upstreams(current.Upstreams)
		s.Routes = slices.Clone(current.Routes)
		p.addTraffic(s.Routes, since)
	}
	return s
}

func (p *Process) listenerStatus() []admin.Listener {
	bound := p.registry.Bindings()
	var all []admin.Listener
	for _, l := range p.registry.Listeners() {
		s := admin.Listener{Name: l.Name(), Addresses: []string{}, Connections: l.Open(), Limit: l.Limit(), Refused: l.Refused(), Draining: l.Draining()}
		for _, b := range bound {
			if b.Slot == l.Slot() {
				s.Addresses = append(s.Addresses, b.Address)
			}
		}
		all = append(all, s)
	}
	return all
}

// addTraffic fills in the counts and the rates since a sample.
func (p *Process) addTraffic(routes []admin.Route, since sample) {
	if p.opt.Traffic == nil {
		return
	}
	now := takeSample(p.opt.Traffic(), time.Now())
	seconds := now.at.Sub(since.at).Seconds()
	for i := range routes {
		r := &routes[i]
		c, old := now.counts[r.Name], since.counts[r.Name]
		r.Requests, r.Errors = c.Requests, c.Errors
		if seconds > 0 {
			r.RequestsPerSecond = float64(c.Requests-old.Requests) / seconds
			r.ErrorsPerSecond = float64(c.Errors-old.Errors) / seconds
		}
	}
}

// Config implements admin.Process.
func (p *Process) Config() admin.Config {
	p.mu.Lock()
	current, generation := p.mu.current, p.mu.generation
	p.mu.Unlock()
	c := admin.Config{File: p.opt.ConfigFile, Generation: generation}
	if current != nil && current.Show != nil {
		c.Text = current.Show()
	}
	return c
}

// upstreams returns the upstreams with the state of each target now; configured are those of
// the configuration, whose targets nobody has looked at.
func (p *Process) upstreams(configured []admin.Upstream) []admin.Upstream {
	if p.opt.Upstreams == nil {
		return configured
	}
	var all []admin.Upstream
	for _, u := range p.opt.Upstreams.Upstreams() {
		up := admin.Upstream{Name: u.Name, Targets: []admin.Target{}}
		for _, t := range u.Targets {
			state := t.State
			if t.Breaker.State != "" && t.Breaker.State != admin.BreakerClosed {
				state += ", breaker " + t.Breaker.State
			}
			up.Targets = append(up.Targets, admin.Target{Address: t.Address, Weight: int64(t.Weight), State: state})
		}
		all = append(all, up)
	}
	return all
}
