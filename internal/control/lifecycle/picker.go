package lifecycle

import (
	"slices"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/observe/demand"
)

// placed are limits of a question by where they hold, as their places in it.
type placed struct {
	top               []int
	listeners, routes map[uint32][]int // by demand.Name
}

func newPlaced() placed {
	return placed{listeners: make(map[uint32][]int), routes: make(map[uint32][]int)}
}

func (p *placed) add(i int, l *admin.WhatIfLimit) {
	switch {
	case l.Route != "":
		p.routes[demand.Name(l.Route)] = append(p.routes[demand.Name(l.Route)], i)
	case l.Listener != "":
		p.listeners[demand.Name(l.Listener)] = append(p.listeners[demand.Name(l.Listener)], i)
	default:
		p.top = append(p.top, i)
	}
}

// picker returns which limits of a question a request meets: those of the nearest place that
// has any, and all additional ones. Where the question is about a part, places that serve with
// limits of their own keep them, unless it names that place.
func (w *whatIfs) picker(q *admin.WhatIfRequest) func(listener, route uint32) []int {
	nearest, beside := newPlaced(), newPlaced()
	if cfg := w.serving.Load(); cfg != nil && !q.Whole {
		for _, l := range cfg.Listeners {
			if len(schema.Replacing(l.RateLimits)) > 0 {
				nearest.listeners[demand.Name(l.Name.V)] = nil
			}
		}
		for _, r := range cfg.Routes {
			if len(schema.Replacing(r.RateLimits)) > 0 {
				nearest.routes[demand.Name(r.Name.V)] = nil
			}
		}
	}
	for i := range q.Limits {
		if l := &q.Limits[i]; l.Additional {
			beside.add(i, l)
		} else {
			nearest.add(i, l)
		}
	}
	type way struct{ listener, route uint32 }
	known := make(map[way][]int)
	return func(listener, route uint32) []int {
		list, ok := known[way{listener, route}]
		if !ok {
			list = slices.Concat(nearest.of(listener, route), beside.top, beside.listeners[listener], beside.routes[route])
			known[way{listener, route}] = list
		}
		return list
	}
}

// of returns the limits of the nearest place that has any.
func (p *placed) of(listener, route uint32) []int {
	if list, ok := p.routes[route]; ok {
		return list
	}
	if list, ok := p.listeners[listener]; ok {
		return list
	}
	return p.top
}
