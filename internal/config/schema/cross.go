package schema

import (
	"maps"
	"net"
	"slices"
	"strings"
)

// crossCheck reports what only the whole configuration can tell: names that stand twice or
// lead nowhere, addresses that two listeners want, routes that can never be reached. file
// is what is blamed for what is missing altogether.
func (d *decoder) crossCheck(c *Config, file string) {
	sound := !d.diags.HasErrors()
	d.listeners(c, file)
	upstreams := make(map[string]Origin, len(c.Upstreams))
	for _, u := range c.Upstreams {
		d.unique(upstreams, u.Name, "upstream")
	}
	routes, used := make(map[string]Origin, len(c.Routes)), make(map[string]bool)
	for _, p := range allPolicies(c) {
		if f := p.ForwardAuth; f != nil && f.Upstream.IsSet() {
			used[f.Upstream.V] = true
			d.refers(upstreams, f.Upstream)
		}
	}
	for _, r := range c.Routes {
		d.unique(routes, r.Name, "route")
		for _, name := range references(r) {
			used[name.V] = true
			d.refers(upstreams, name)
		}
		d.fallback(r)
	}
	d.headers(c)
	d.streams(c, upstreams, used)
	d.healthChecks(c)
	d.deadlines(c)
	d.policies(c)
	if !sound {
		return // what is missing in a route may be what tells it from another
	}
	d.unreachable(c)
	for _, u := range c.Upstreams {
		if !used[u.Name.V] {
			d.warnAt(u.From, "upstream %q is not used by any route", u.Name.V)
		}
	}
}

// references returns the names of upstreams that a route holds.
func references(r *Route) []Value[string] {
	var names []Value[string]
	own := []Value[string]{r.Upstream, r.Fallback}
	if r.Mirror != nil {
		own = append(own, r.Mirror.Upstream)
	}
	for _, name := range own {
		if name.IsSet() {
			names = append(names, name)
		}
	}
	if r.Split != nil {
		for _, u := range r.Split.Upstreams {
			if u.Name.IsSet() {
				names = append(names, u.Name)
			}
		}
	}
	return names
}

// fallback reports a fallback that leads to the upstream that it should stand in for.
func (d *decoder) fallback(r *Route) {
	first := r.Upstream
	if s := r.Split; s != nil && len(s.Upstreams) == 1 {
		first = s.Upstreams[0].Name
	}
	if r.Fallback.IsSet() && first.IsSet() && first.V == r.Fallback.V {
		d.errorAt(r.Fallback.From, "fallback-upstream %q is the upstream that route %q uses anyway", r.Fallback.V, r.Name.V).
			hint("name another upstream, or remove it").related(first.From, "it is used here")
	}
}

// deadlines reports a deadline that is passed in the field that carries the request id.
func (d *decoder) deadlines(c *Config) {
	id := c.System.RequestID.Header
	if !id.IsSet() {
		id.V = defaultRequestID
	}
	for _, u := range c.Upstreams {
		if u.PassDeadline.IsSet() && strings.EqualFold(u.PassDeadline.V, id.V) {
			d.errorAt(u.PassDeadline.From, "pass-deadline %q is the field of the request id", u.PassDeadline.V).
				hint(`use another one, such as "X-Request-Timeout-Ms"`).related(id.From, "the request id is here")
		}
	}
}

func (d *decoder) unique(seen map[string]Origin, name Value[string], what string) {
	if !name.IsSet() {
		return
	}
	if first, twice := seen[name.V]; twice {
		d.errorAt(name.From, "%s %q stands twice", what, name.V).hint("rename one of them").related(first, "the first one is here")
		return
	}
	seen[name.V] = name.From
}

func (d *decoder) refers(upstreams map[string]Origin, name Value[string]) {
	if _, ok := upstreams[name.V]; ok {
		return
	}
	p := d.errorAt(name.From, "there is no upstream %q", name.V)
	if d.suggested++; d.suggested > suggestionsMax {
		return
	}
	if near := nearest(slices.Sorted(maps.Keys(upstreams)), name.V); near != "" {
		p.hint("did you mean %q?", near)
	} else {
		p.hint("add it to upstreams")
	}
}

func (d *decoder) listeners(c *Config, file string) {
	names, addresses := make(map[string]Origin), make(map[string]Origin)
	for _, l := range c.Listeners {
		d.unique(names, l.Name, "listener")
		for _, a := range l.Addresses {
			d.address(addresses, a)
		}
	}
	if m := c.Observability.Metrics.Address; m.IsSet() {
		d.address(addresses, m)
	} else {
		d.address(addresses, Value[string]{V: defaultMetricsAddress, From: Origin{Kind: Default}})
	}
	if len(c.Listeners) == 0 {
		d.errorAt(Origin{File: file}, "there is no listener").hint(`add listeners { listener "http" { address "0.0.0.0:8080" } }`)
	}
}

// address reports an address that stands twice. Port 0 is a new port each time.
func (d *decoder) address(seen map[string]Origin, a Value[string]) {
	host, port, _ := net.SplitHostPort(a.V)
	if port == "0" {
		return
	}
	switch host {
	case "":
		host = "::"
	case "localhost":
		host = "127.0.0.1"
	}
	key := net.JoinHostPort(host, port)
	first, twice := seen[key]
	switch {
	case twice && a.From.Kind == Default:
		d.errorAt(first, "address %q is that of the metrics", a.V).
			hint("use another one, or move the metrics: observability { metrics { address \"127.0.0.1:9091\" } }")
	case twice:
		d.errorAt(a.From, "address %q stands twice", a.V).hint("use another one").related(first, "the first one is here")
	default:
		seen[key] = a.From
	}
}

// unreachable reports routes with the same conditions and priority as an earlier one.
func (d *decoder) unreachable(c *Config) {
	seen := make(map[string]Origin, len(c.Routes))
	for _, r := range c.Routes {
		key := matchKey(r)
		if first, twice := seen[key]; twice {
			d.errorAt(r.From, "route %q can never be reached: an earlier route takes the same requests", r.Name.V).
				hint("give it other conditions or a higher priority").related(first, "the earlier route is here")
			continue
		}
		seen[key] = r.From
	}
}

// matchKey is the same for routes that take the same requests at the same priority.
func matchKey(r *Route) string {
	var b strings.Builder
	b.WriteString(formatValue(r.Priority.V))
	m := &r.Matches
	for i, list := range [][]Value[string]{m.Hosts, m.Paths, m.PathPrefixes, m.PathRegexes, m.Methods, m.SNI} {
		words := make([]string, len(list))
		for j, v := range list {
			if words[j] = v.V; i == 0 {
				words[j] = strings.ToLower(v.V)
			}
		}
		appendSet(&b, words)
	}
	for _, list := range [][]*FieldMatch{m.Headers, m.Queries} {
		words := make([]string, len(list))
		for j, f := range list {
			words[j] = f.Name.V + "\x02" + f.Value.V + "\x02" + f.Regex.V
		}
		appendSet(&b, words)
	}
	return b.String()
}

// appendSet appends words without regard to their order and repetition.
func appendSet(b *strings.Builder, words []string) {
	b.WriteByte(0)
	slices.Sort(words)
	for _, w := range slices.Compact(words) {
		b.WriteByte(1)
		b.WriteString(w)
	}
}
