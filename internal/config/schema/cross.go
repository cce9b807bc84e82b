package schema

import "strings"

// crossCheck reports what only the whole configuration can tell: names that stand twice or
// lead nowhere, addresses that two listeners want, routes that can never be reached.
func (d *decoder) crossCheck(c *Config, file string) {
	d.listeners(c, file)
	upstreams := make(map[string]Origin)
	for _, u := range c.Upstreams {
		d.unique(upstreams, u.Name, "upstream")
	}
	routes := make(map[string]Origin)
	for _, r := range c.Routes {
		d.unique(routes, r.Name, "route")
		d.refers(upstreams, r.Upstream)
		d.refers(upstreams, r.Fallback)
		if r.Split != nil {
			for _, u := range r.Split.Upstreams {
				d.refers(upstreams, u.Name)
			}
		}
	}
	d.unreachable(c)
}

func (d *decoder) unique(seen map[string]Origin, name Value[string], what string) {
	if first, twice := seen[name.V]; twice {
		d.errorAt(name.From, "%s %q stands twice", what, name.V).hint("rename one of them").related(first, "the first one is here")
		return
	}
	seen[name.V] = name.From
}

func (d *decoder) refers(upstreams map[string]Origin, name Value[string]) {
	if !name.IsSet() {
		return
	}
	if _, ok := upstreams[name.V]; ok {
		return
	}
	p := d.errorAt(name.From, "there is no upstream %q", name.V)
	best, least := "", 4
	for have := range upstreams {
		if n := distance(name.V, have); n < least || n == least && have < best {
			best, least = have, n
		}
	}
	if best != "" {
		p.hint("did you mean %q?", best)
	} else {
		p.hint("add it to upstreams")
	}
}

func (d *decoder) listeners(c *Config, file string) {
	names, addresses := make(map[string]Origin), make(map[string]Origin)
	for _, l := range c.Listeners {
		d.unique(names, l.Name, "listener")
		for _, a := range l.Addresses {
			if strings.HasSuffix(a.V, ":0") {
				continue
			}
			d.unique(addresses, a, "address")
		}
	}
	if len(c.Listeners) == 0 {
		d.errorAt(Origin{File: file}, "there is no listener").hint(`add listeners { listener "http" { address "0.0.0.0:8080" } }`)
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

func matchKey(r *Route) string {
	var b strings.Builder
	b.WriteString(r.Priority.text())
	m := &r.Matches
	for _, list := range [][]Value[string]{m.Hosts, m.Paths, m.PathPrefixes, m.PathRegexes, m.Methods} {
		b.WriteString("\x00")
		for _, v := range list {
			b.WriteString("\x01" + v.V)
		}
	}
	for _, list := range [][]*FieldMatch{m.Headers, m.Queries} {
		b.WriteString("\x00")
		for _, f := range list {
			b.WriteString("\x01" + f.Name.V + "\x02" + f.Value.V + "\x02" + f.Regex.V)
		}
	}
	return b.String()
}

func (v Value[T]) text() string { return formatValue(any(v.V)) }
