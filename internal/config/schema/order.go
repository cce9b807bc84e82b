package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// reordered tells which routes of b stand before others that they stood behind in a, where
// the place in the text decides: at the same priority, for the same host and path, with as
// many other conditions. A route is told of once, beside the nearest other one.
func reordered(a, b *Config) []string {
	places := make(map[string]int, len(a.Routes))
	for i, r := range a.Routes {
		places[r.Name.V] = i
	}
	ties := make(map[string][]placedRoute)
	for _, r := range b.Routes {
		place, ok := places[r.Name.V]
		if !ok {
			continue
		}
		for _, rank := range ranks(r) {
			ties[rank] = append(ties[rank], placedRoute{r, place})
		}
	}
	var out []string
	for _, routes := range ties {
		if slices.IsSortedFunc(routes, func(x, y placedRoute) int { return x.place - y.place }) {
			continue
		}
		for i, r := range routes {
			j := slices.IndexFunc(routes[i+1:], func(other placedRoute) bool {
				return r.place > other.place && shareMethod(r.Route, other.Route)
			})
			if j >= 0 {
				out = append(out, fmt.Sprintf("route %q now comes before route %q, which may take the same requests", r.Name.V, routes[i+1+j].Name.V))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// placedRoute is a route and its place in the text before.
type placedRoute struct {
	*Route
	place int
}

// ranks names each pair of a host and a path that the route takes, together with all else
// that counts before the place in the text.
func ranks(r *Route) []string {
	m := &r.Matches
	conditions := len(m.Headers) + len(m.Queries)
	if len(m.Methods) > 0 {
		conditions++
	}
	prefix := strconv.FormatInt(r.Priority.V, 10) + " " + strconv.Itoa(conditions) + " "
	hosts, paths := []string{"*"}, pathRanks(m)
	if len(m.Hosts) > 0 {
		hosts = nil
		for _, h := range m.Hosts {
			hosts = append(hosts, strings.ToLower(strings.TrimSuffix(h.V, ".")))
		}
	}
	var all []string
	for _, h := range hosts {
		for _, p := range paths {
			all = append(all, prefix+h+" "+p)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// pathRanks names the paths of a route so that two of the same name are equally specific and
// may be met by one request. Of regular expressions nobody knows, so that all are one.
func pathRanks(m *Matches) []string {
	var paths []string
	for _, p := range m.Paths {
		paths = append(paths, "="+p.V)
	}
	for _, p := range m.PathPrefixes {
		paths = append(paths, strings.TrimSuffix(p.V, "/"))
	}
	if len(m.PathRegexes) > 0 {
		paths = append(paths, "~")
	}
	if len(paths) == 0 {
		return []string{""}
	}
	return paths
}

// shareMethod reports whether one request may have a method that both routes take.
func shareMethod(a, b *Route) bool {
	if len(a.Matches.Methods) == 0 || len(b.Matches.Methods) == 0 {
		return true
	}
	return slices.ContainsFunc(a.Matches.Methods, func(x Value[string]) bool {
		return slices.ContainsFunc(b.Matches.Methods, func(y Value[string]) bool { return x.V == y.V })
	})
}
