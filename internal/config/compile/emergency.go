package compile

import (
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/snapshot"
)

// standIn returns a route as it serves: with use-fallback its fallback is its only upstream.
func standIn(r *schema.Route) *schema.Route {
	if !r.UseFallback.V {
		return r
	}
	in := *r
	in.Upstream, in.Split, in.Fallback = r.Fallback, nil, schema.Value[string]{}
	return &in
}

// disabled compiles how a route refuses requests; nil while it takes them.
func disabled(r *schema.Route) *snapshot.Disabled {
	if r.Disabled == nil {
		return nil
	}
	return &snapshot.Disabled{Status: int(r.Disabled.Status.V), RetryAfter: int(r.Disabled.RetryAfter.V)}
}
