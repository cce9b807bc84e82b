package diagnose

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"sentinel/internal/control/probe"
)

// probed is a target with what a probe of our own came to.
type probed struct {
	upstream, address, dial string
	checked                 bool // by the health check of the configuration
	t                       *probe.Transcript
}

// Bounds of our own probes.
const (
	probesMax       = 200
	probesAtOnceMax = 32
)

// probeTargets asks each target once, as the proxy's checks would, whether or not it runs.
func (f *facts) probeTargets(ctx context.Context) {
	if f.opt.Checks == nil {
		return
	}
	checks, err := f.opt.Checks(f.opt.ConfigFile)
	if err != nil {
		f.blind("targets by probes of our own: the configuration can't be used")
		return
	}
	targets := f.targets(checks)
	if len(targets) > probesMax {
		f.blind("all targets by probes of our own: there are too many")
		targets = targets[:probesMax]
	}
	lookup := f.lookup()
	f.probes = make([]probed, len(targets))
	slots := make(chan struct{}, probesAtOnceMax)
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			c := *t.Check
			if c.Timeout == 0 || c.Timeout > probeWait {
				c.Timeout = probeWait
			}
			t.Check = &c
			f.probes[i] = probed{t.Upstream, t.Address, t.Dial, f.hasCheck(t.Upstream), probe.Once(ctx, t, lookup)}
		})
	}
	all.Wait()
}

// targets returns what to probe: the targets of the process with their addresses, or those of
// the configuration.
func (f *facts) targets(checks map[string]*probe.Check) []probe.Target {
	var all []probe.Target
	known := make(map[string]bool)
	for _, u := range f.running.upstreams {
		for _, t := range u.Targets {
			if c := checks[u.Name]; c != nil {
				known[u.Name] = true
				all = append(all, probe.Target{Upstream: u.Name, Address: t.Address, Dial: t.Resolved, Check: c})
			}
		}
	}
	for _, u := range f.cfg.Upstreams {
		for _, t := range u.Targets {
			if c := checks[u.Name.V]; c != nil && t.Address.V != "" && !known[u.Name.V] {
				all = append(all, probe.Target{Upstream: u.Name.V, Address: t.Address.V, Check: c})
			}
		}
	}
	return all
}

func (f *facts) hasCheck(upstream string) bool {
	for _, u := range f.cfg.Upstreams {
		if u.Name.V == upstream {
			return u.HealthCheck != nil
		}
	}
	return false
}

// lookup asks the name servers that the configuration names; nil for those of the machine.
func (f *facts) lookup() probe.Lookup {
	servers := f.cfg.System.Resolver.Servers
	if len(servers) == 0 {
		return nil
	}
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, servers[0].V)
	}}
	return func(ctx context.Context, host string) ([]netip.Addr, error) { return r.LookupNetIP(ctx, "ip", host) }
}
