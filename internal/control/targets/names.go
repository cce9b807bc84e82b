package targets

import (
	"slices"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/resolve"
	"sentinel/internal/observe/event"
)

func (k *Keeper) newResolver(s *schema.Resolver) *resolve.Resolver {
	o := resolve.Options{TTLMin: s.MinTTL.V, TTLMax: s.MaxTTL.V, Timeout: s.Timeout.V, StaleMax: s.MaxStale.V, Changed: k.namesChanged, Log: k.opt.Log}
	for _, server := range s.Servers {
		o.Servers = append(o.Servers, server.V)
	}
	return resolve.New(o)
}

func sameResolver(a, b *schema.Resolver) bool {
	if len(a.Servers) != len(b.Servers) || a.MinTTL.V != b.MinTTL.V || a.MaxTTL.V != b.MaxTTL.V ||
		a.Timeout.V != b.Timeout.V || a.MaxStale.V != b.MaxStale.V {
		return false
	}
	for i := range a.Servers {
		if a.Servers[i].V != b.Servers[i].V {
			return false
		}
	}
	return true
}

func sourcesOf(cfg *schema.Config) []resolve.Source {
	var list []resolve.Source
	for _, s := range compile.Sources(cfg) {
		if s.Kind != compile.Literal {
			list = append(list, sourceOf(s))
		}
	}
	return list
}

func sourceOf(s compile.Source) resolve.Source {
	return resolve.Source{Upstream: s.Upstream, Kind: kinds[s.Kind], Value: s.Value, Weight: s.Weight}
}

// kinds are the kinds of sources as the resolver knows them.
var kinds = [...]resolve.Kind{
	compile.Literal: resolve.Literal, compile.Name: resolve.Name, compile.Service: resolve.Service, compile.File: resolve.File,
}

// question is what a source asks for, whichever upstream it belongs to.
type question struct {
	kind  resolve.Kind
	value string
}

func questionOf(s resolve.Source) question { return question{s.Kind, s.Value} }

// handOver returns what is known of sources, for the resolver that comes next: a reload
// that changes how names are looked up, while no server answers, must lose no targets.
func (k *Keeper) handOver(sources []resolve.Source) map[question][]resolve.Endpoint {
	known := make(map[question][]resolve.Endpoint, len(sources))
	for _, s := range sources {
		if endpoints, ok := k.known(s); ok {
			known[questionOf(s)] = endpoints
		}
	}
	return known
}

// known returns the endpoints behind a source, from the resolver or, until that has learned
// any itself, from those before it.
func (k *Keeper) known(s resolve.Source) ([]resolve.Endpoint, bool) {
	k.mu.Lock()
	r := k.mu.resolver
	k.mu.Unlock()
	if r == nil {
		return nil, false
	}
	endpoints, ok := r.Lookup(s)
	k.mu.Lock()
	defer k.mu.Unlock()
	if ok {
		delete(k.mu.handed, questionOf(s))
		return endpoints, true
	}
	handed, ok := k.mu.handed[questionOf(s)]
	endpoints = slices.Clone(handed)
	for i := range endpoints {
		if s.Kind == resolve.Name {
			endpoints[i].Weight = s.Weight
		}
	}
	return endpoints, ok
}

// Lookup returns the addresses behind a source as they are known now. One that has a name of
// its own is called by it; where several share a name, each is called by its address.
func (k *Keeper) Lookup(s compile.Source) ([]compile.Address, bool) {
	endpoints, ok := k.known(sourceOf(s))
	times := make(map[string]int, len(endpoints))
	for _, e := range endpoints {
		times[e.Name]++
	}
	list := make([]compile.Address, len(endpoints))
	for i, e := range endpoints {
		list[i] = compile.Address{Name: e.Name, Dial: e.Address, Authority: e.Name, Weight: e.Weight}
		if times[e.Name] > 1 {
			list[i].Name = e.Address
		}
	}
	return list, ok
}

// namesChanged takes a new answer over.
func (k *Keeper) namesChanged(u resolve.Update) {
	k.live.Readdress()
	k.readdressed()
	e := event.Event{Kind: event.KindNames, Upstream: u.Source.Upstream, Detail: u.Source.Value, Worse: u.Err != nil}
	for i, p := range u.Endpoints {
		if i > 0 {
			e.To += " "
		}
		e.To += p.Address
	}
	if u.Err != nil {
		e.Cause = u.Err.Error()
	}
	k.opt.Events.Emit(e)
}
