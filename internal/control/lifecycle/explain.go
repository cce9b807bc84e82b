package lifecycle

import (
	"net/netip"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/explain"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/metric"
)

// explain says what a request would meet in the proxy that runs.
func (a *assembly) explain(q admin.ExplainRequest) (admin.Explanation, error) {
	e := explain.Explainer{Proxy: a.Proxy, Ports: func(slot int) (ports []uint16) {
		for _, b := range a.registry.Bindings() {
			if at, err := netip.ParseAddrPort(b.Address); err == nil && b.Slot == slot {
				ports = append(ports, at.Port())
			}
		}
		return ports
	}}
	return e.Explain(q)
}

// ExplainFile says what a request would meet by the configuration at path, which nobody needs to
// run. Of what only a running proxy knows, such as which targets are well, it says what is so
// at the start.
func ExplainFile(path string, q admin.ExplainRequest) (admin.Explanation, error) {
	cfg, l, err := ReadConfig(path)
	if err != nil {
		return admin.Explanation{}, err
	}
	clock := netio.NewClock()
	defer clock.Stop()
	m := metric.New(metric.Options{Cells: 1})
	live := compile.NewLive(compile.LiveOptions{Clock: clock, Metrics: m})
	defer live.Close()
	slots := map[string]int{}
	for i := range cfg.Listeners {
		slots[cfg.Listeners[i].Name.V] = i
	}
	snap, handOver, diags := compile.Build(cfg, live, func(name string) int { return slots[name] })
	if diags.HasErrors() {
		return admin.Explanation{}, NewConfigError(diags, l.text)
	}
	handOver()
	p := exchange.New(exchange.Options{Clock: clock, Cells: 1})
	p.Swap(snap)
	e := explain.Explainer{Proxy: p, Offline: true, Ports: func(slot int) []uint16 { return portsOf(cfg.Listeners[slot]) }}
	return e.Explain(q)
}

// portsOf returns the ports that a listener is configured for.
func portsOf(l *schema.Listener) (ports []uint16) {
	for _, a := range l.Addresses {
		if at, err := netip.ParseAddrPort(a.V); err == nil {
			ports = append(ports, at.Port())
		}
	}
	return ports
}
