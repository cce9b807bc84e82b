package schema

import (
	"fmt"
	"slices"
)

// Nearer tells which listeners, routes and upstreams say something of their own about keys of a
// block, "timeouts", "limits" or "security", so that what the top level says doesn't hold there.
func Nearer(c *Config, block string, keys []string) (notes []string) {
	tell := func(what, name string, b any) {
		for _, k := range table()[block].rows {
			if !slices.Contains(keys, k.Name) {
				continue
			}
			for _, l := range lines(k.slot.at(b)) {
				if l.from.Kind == Written {
					notes = append(notes, fmt.Sprintf("%s %q keeps its own %s %s (%s): add --%s %s to change it there", what, name, k.Name, l.text, l.from, what, name))
				}
			}
		}
	}
	for _, l := range c.Listeners {
		switch {
		case block == "timeouts":
			tell("listener", l.Name.V, &l.Timeouts)
		case block == "limits":
			tell("listener", l.Name.V, &l.Limits)
		case l.Security != nil:
			tell("listener", l.Name.V, l.Security)
		}
	}
	for _, r := range c.Routes {
		switch {
		case block == "timeouts":
			tell("route", r.Name.V, &r.Timeouts)
		case block == "security" && r.Security != nil:
			tell("route", r.Name.V, r.Security)
		}
	}
	for _, u := range c.Upstreams {
		if block == "timeouts" {
			tell("upstream", u.Name.V, &u.Timeouts)
		}
	}
	return notes
}
