package compile

import (
	"time"

	"sentinel/internal/config/kdl"
	"sentinel/internal/config/schema"
)

// A route of the snapshot holds one request timeout and one body limit, whatever listener a
// request came by and whatever upstream of a split it goes to. Where the configuration would
// have several, it is refused rather than served by one of them.

// requestTimeout returns the request-secs that holds for a route: its own, that of its
// upstream, that of the listener.
func (b *builder) requestTimeout(r *schema.Route) time.Duration {
	ups := b.upstreamsOf(r)
	if len(ups) == 0 {
		return schema.EffectiveTimeouts(b.cfg.Listeners[0], r, nil).Request.V // waits for nobody
	}
	var held schema.Value[time.Duration]
	for _, l := range b.cfg.Listeners {
		for _, u := range ups {
			t := schema.EffectiveTimeouts(l, r, u).Request
			if held.IsSet() && held.V != t.V && !r.Timeouts.Request.IsSet() {
				b.ambiguous(r, "request-secs", held.From, t.From)
				return held.V
			}
			held = t
		}
	}
	return held.V
}

// upstreamsOf returns the upstreams that a route sends to.
func (b *builder) upstreamsOf(r *schema.Route) []*schema.Upstream {
	switch {
	case r.Split != nil:
		var all []*schema.Upstream
		for _, u := range r.Split.Upstreams {
			all = append(all, b.written[u.Name.V])
		}
		return all
	case r.Upstream.IsSet():
		return []*schema.Upstream{b.written[r.Upstream.V]}
	}
	return nil
}

// bodyMax returns the max-body-size that holds for a route: its own, or that of the
// listener.
func (b *builder) bodyMax(r *schema.Route) int64 {
	if r.Limits.MaxBodySize.IsSet() {
		return r.Limits.MaxBodySize.V
	}
	var held schema.Value[int64]
	for _, l := range b.cfg.Listeners {
		m := l.Limits.MaxBodySize
		if held.IsSet() && held.V != m.V {
			b.ambiguous(r, "max-body-size", held.From, m.From)
			break
		}
		held = m
	}
	return held.V
}

// ambiguous reports a key of which two values would hold for one route.
func (b *builder) ambiguous(r *schema.Route, key string, one, other schema.Origin) {
	d := kdl.Errorf(r.From.File, r.From.Span, "two values of %s would hold for route %q; telling them apart is not built yet in this version", key, r.Name.V).
		WithHint("set %s in the route", key)
	for _, o := range []schema.Origin{one, other} {
		if o.File != "" {
			d = d.WithRelated(o.File, o.Span, "one of them is here")
		}
	}
	b.diags = append(b.diags, d)
}
