// Package compile turns a checked configuration into the snapshot that exchanges read. It is
// the only package that sees both sides; whatever can be decided before the first request is
// decided here: matchers, templates, order of targets, metric handles.
package compile

import (
	"regexp"
	"strings"

	"sentinel/internal/config/kdl"
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/demand"
)

// builder is one call of Build.
type builder struct {
	cfg       *schema.Config
	live      *Live
	snap      *snapshot.Snapshot
	next      *changes
	upstreams map[string]*upstream.Upstream
	limits    map[string]*snapshot.RateLimit // by metric.LimitKey
	lists     accessLists
	tls       map[string]secured // by listener
	policies  policies
	diags     kdl.Diagnostics
}

// Build makes the snapshot of cfg. slot tells the slot of each listener; nil leaves the
// listeners out, for a check alone. It returns every problem; with an error among them
// nothing may be used and nothing has changed. commit must be called once the snapshot
// serves: it hands what lives on over to the new generation.
func Build(cfg *schema.Config, live *Live, slot func(name string) int) (s *snapshot.Snapshot, commit func(), diags kdl.Diagnostics) {
	b := &builder{
		cfg: cfg, live: live, limits: make(map[string]*snapshot.RateLimit), lists: make(accessLists), tls: make(map[string]secured), policies: newPolicies(), snap: &snapshot.Snapshot{LimitSeed: live.limitSeed, NoRoute: live.opt.Metrics.Unrouted(), Shadowed: live.opt.Metrics.Shadowed()},
		next: newChanges(), upstreams: make(map[string]*upstream.Upstream, len(cfg.Upstreams)),
	}
	for _, p := range cfg.System.TrustedProxies {
		b.snap.Trusted = append(b.snap.Trusted, p.V)
	}
	b.snap.Requests, b.snap.ShadowRequests = b.live.requests(b.next, "", &cfg.Limits)
	b.next.fleet = b.fleet()
	b.identity()
	b.places()
	b.challenger(slot != nil)
	b.addUpstreams()
	b.addRoutes()
	b.edges()
	b.addPolicies()
	b.issuance()
	b.inventory()
	b.guard()
	if slot != nil {
		b.addListeners(slot)
		b.securities()
		b.streams()
	}
	return b.snap, func() { live.commit(b.next) }, b.diags
}

func (b *builder) problem(at schema.Origin, format string, args ...any) {
	b.diags = append(b.diags, kdl.Errorf(at.File, at.Span, format, args...))
}

func (b *builder) identity() {
	sys := &b.cfg.System
	b.snap.Identity = snapshot.Identity{
		RequestIDField: sys.RequestID.Header.V,
		RequestIDLower: strings.ToLower(sys.RequestID.Header.V),
		AcceptIDs:      sys.RequestID.Accept.V == "trusted",
		XForwarded:     sys.ForwardedHeaders.XForwarded.V,
		Forwarded:      sys.ForwardedHeaders.Forwarded.V,
	}
}

func (b *builder) addListeners(slot func(string) int) {
	for _, l := range b.cfg.Listeners {
		i := slot(l.Name.V)
		for len(b.snap.Listeners) <= i {
			b.snap.Listeners = append(b.snap.Listeners, nil)
		}
		paths := pathPolicy(&l.PathNormalization)
		b.snap.Listeners[i] = &snapshot.Listener{
			Name: l.Name.V, H1: engineSettings(l), H2: http2Settings(l), H2C: l.HTTP2.H2C.V, H2Only: l.HTTP2.Only.V, RequestTimeout: l.Timeouts.Request.V, RequestTimeoutSet: l.Timeouts.Request.From.Kind != schema.Default, BodyBytesMax: l.Limits.MaxBodySize.V,
			TunnelIdle: l.Timeouts.TunnelIdle.V,
			Paths:      paths, RewrittenPaths: paths.Rewritten(),
			Metrics: b.live.opt.Metrics.Listener(l.Name.V), Key: []byte(l.Name.V), Demand: demand.Name(l.Name.V),
			RateLimits: b.rateLimits(limitsOf(l, b.cfg)), AddedLimits: b.rateLimits(append(schema.Additional(b.cfg.RateLimits), schema.Additional(l.RateLimits)...)),
			Shadow: shadowBounds(l.Limits.Shadow),
		}
		b.snap.Listeners[i].Requests, b.snap.Listeners[i].ShadowRequests = b.live.requests(b.next, l.Name.V, &l.Limits)
		b.access(l, b.snap.Listeners[i])
		b.secure(l, b.snap.Listeners[i])
		b.next.listeners = append(b.next.listeners, l.Name.V)
	}
}

// limitsOf returns the rate limits that hold on a listener.
func limitsOf(l *schema.Listener, cfg *schema.Config) []*schema.RateLimit {
	if own := schema.Replacing(l.RateLimits); len(own) > 0 {
		return own
	}
	return schema.Replacing(cfg.RateLimits)
}

func engineSettings(l *schema.Listener) h1.Settings {
	head := int(l.Limits.MaxHeaderSize.V)
	target := head
	if n := int(l.Limits.MaxURILength.V); n > 0 {
		target = min(head, n)
	}
	return h1.Settings{
		HeadBytesMax: head, TargetBytesMax: target, FieldsMax: int(l.Limits.MaxHeaderCount.V),
		RequestsMax: int(l.Limits.MaxRequestsPerConnection.V),
		HeadTimeout: l.Timeouts.Header.V, IdleTimeout: l.Timeouts.Idle.V,
		ContentTimeout: l.Timeouts.Read.V, WriteTimeout: l.Timeouts.Write.V,
		ContentRateMin: l.Timeouts.MinBodyRate.V, WriteRateMin: l.Timeouts.MinResponseRate.V,
	}
}

func (b *builder) addRoutes() {
	rules := make([]route.Rule[*snapshot.Route], 0, len(b.cfg.Routes))
	for _, r := range b.cfg.Routes {
		sr := b.route(r)
		b.snap.Routes = append(b.snap.Routes, sr)
		b.next.routes = append(b.next.routes, r.Name.V)
		if len(r.Matches.SNI) > 0 {
			continue // it takes no requests
		}
		rules = append(rules, rule(r, sr))
		b.checkMatches(&r.Matches)
	}
	b.snap.Table = route.Build(rules)
}

// checkMatches reports hosts and paths that no request can have.
func (b *builder) checkMatches(m *schema.Matches) {
	for _, h := range m.Hosts {
		if err := route.CheckHost(h.V); err != nil {
			b.problem(h.From, "%v", err)
		}
	}
	for _, paths := range [][]schema.Value[string]{m.Paths, m.PathPrefixes} {
		for _, p := range paths {
			b.canonicalPath(p.V, p.From)
		}
	}
}

// canonicalPath returns the form in which requests for path are matched and sent.
func (b *builder) canonicalPath(path string, at schema.Origin) string {
	if path == "" {
		return path
	}
	out, err := route.CanonicalPath(path)
	if err != nil {
		b.problem(at, "%q is no path: %v", path, err)
	}
	return out
}

func rule(r *schema.Route, sr *snapshot.Route) route.Rule[*snapshot.Route] {
	m := &r.Matches
	out := route.Rule[*snapshot.Route]{
		Value: sr, Priority: int(r.Priority.V),
		Hosts: texts(m.Hosts), Exact: texts(m.Paths), Prefixes: texts(m.PathPrefixes), Methods: texts(m.Methods),
	}
	for _, x := range m.PathRegexes {
		out.Regexps = append(out.Regexps, regexp.MustCompile(x.V)) // the schema has tried it
	}
	for _, f := range m.Headers {
		fm := route.FieldMatch{Name: f.Name.V, Value: f.Value.V, Present: !f.Value.IsSet() && !f.Regex.IsSet()}
		if f.Regex.IsSet() {
			fm.Regexp = regexp.MustCompile(f.Regex.V)
		}
		out.Fields = append(out.Fields, fm)
	}
	for _, q := range m.Queries {
		out.Params = append(out.Params, route.ParamMatch{Name: q.Name.V, Value: q.Value.V, Present: !q.Value.IsSet()})
	}
	return out
}

func texts(vs []schema.Value[string]) []string {
	var out []string
	for _, v := range vs {
		out = append(out, v.V)
	}
	return out
}

// route compiles one route.
func (b *builder) route(r *schema.Route) *snapshot.Route {
	r = standIn(r)
	sr := &snapshot.Route{
		Name: r.Name.V, Metrics: b.live.opt.Metrics.Route(r.Name.V), Key: []byte(r.Name.V), Demand: demand.Name(r.Name.V), RateLimits: b.rateLimits(schema.Replacing(r.RateLimits)), AddedLimits: b.rateLimits(schema.Additional(r.RateLimits)),
		Timeout: r.Timeouts.Request.V, BodyBytesMax: listenersOwn, ShadowBodyBytes: listenersOwn,
		RequestEdits: b.edits(&r.Policies.RequestHeaders), ResponseEdits: b.edits(&r.Policies.ResponseHeaders),
	}
	if r.Limits.MaxBodySize.IsSet() {
		sr.BodyBytesMax = r.Limits.MaxBodySize.V
	}
	if s := r.Limits.Shadow; s != nil && s.MaxBodySize.IsSet() {
		sr.ShadowBodyBytes = s.MaxBodySize.V
	}
	if r.Timeouts.Read.IsSet() {
		sr.ReadTimeout = r.Timeouts.Read.V
	}
	if r.Timeouts.TunnelIdle.IsSet() {
		sr.TunnelIdle = r.Timeouts.TunnelIdle.V
	}
	for _, p := range r.Matches.Paths {
		path := b.canonicalPath(p.V, p.From)
		sr.OwnsHealth = sr.OwnsHealth || path == "/health"
		sr.OwnsReady = sr.OwnsReady || path == "/ready"
	}
	for _, token := range r.AllowUpgrade {
		sr.Upgrades = append(sr.Upgrades, strings.ToLower(token.V))
	}
	sr.Trailers, sr.GRPCWeb = r.AllowTrailers.V, r.GRPCWeb.V
	sr.Access = b.accessList(r.Access)
	sr.Disabled = disabled(r)
	sr.Retry = retryPolicy(&r.Retry)
	sr.Priority = priority(r.QueuePriority.V)
	if m := r.Mirror; m != nil {
		sr.Mirror = &snapshot.Mirror{
			Upstream: b.upstreams[m.Upstream.V], Percent: int(m.Percent.V),
			BodyBytesMax: m.MaxBodySize.V, ConcurrentMax: m.MaxConcurrent.V,
		}
		sr.Metrics.Mirrors()
	}
	if r.Fallback.IsSet() {
		sr.Fallback = b.upstreams[r.Fallback.V]
		sr.Metrics.HasFallback()
		sr.Failover = b.live.failoverOf(b.next, r.Name.V)
		for _, own := range forwardsTo(r) {
			b.next.fallbacks[own] = append(b.next.fallbacks[own], r.Fallback.V)
		}
	}
	b.action(r, sr)
	b.rewrite(r, sr)
	return sr
}

// forwardsTo returns the names of the upstreams that a route chooses from.
func forwardsTo(r *schema.Route) []string {
	if r.Split == nil {
		return []string{r.Upstream.V}
	}
	var names []string
	for _, u := range r.Split.Upstreams {
		names = append(names, u.Name.V)
	}
	return names
}

// listenersOwn marks a body limit that the listener of the request decides.
const listenersOwn = -1

func (b *builder) action(r *schema.Route, sr *snapshot.Route) {
	switch {
	case r.Respond != nil:
		a := &filter.Answer{Status: int(r.Respond.Status.V), Body: []byte(r.Respond.Body.V)}
		if len(a.Body) > 0 {
			a.ContentType = r.Respond.ContentType.V
		}
		sr.Answer = a
	case r.Redirect != nil:
		redirect, err := filter.NewRedirect(int(r.Redirect.Status.V), r.Redirect.To.V.Text)
		if err != nil {
			b.problem(r.Redirect.To.From, "%v", err)
			return
		}
		sr.Redirect = redirect
	case r.Split != nil:
		b.split(r.Split, sr)
	default:
		sr.Forward = route.NewSplit([]*upstream.Upstream{b.upstreams[r.Upstream.V]}, []int{1})
	}
}

func (b *builder) split(s *schema.Split, sr *snapshot.Route) {
	var ups []*upstream.Upstream
	var weights []int
	for _, u := range s.Upstreams {
		ups = append(ups, b.upstreams[u.Name.V])
		weights = append(weights, int(u.Weight.V))
	}
	sr.Forward = route.NewSplit(ups, weights)
	sr.Sticky = affinity(s.StickyKey.V)
}

func (b *builder) rewrite(r *schema.Route, sr *snapshot.Route) {
	w := r.Rewrite
	var rewrite *filter.Rewrite
	var at schema.Origin
	switch {
	case w == nil:
		return
	case w.StripPrefix.IsSet():
		at = w.StripPrefix.From
		rewrite = filter.StripPrefix(b.canonicalPath(w.StripPrefix.V, at))
	case w.ReplacePrefix.IsSet():
		at = w.ReplacePrefix.From
		from, to := b.canonicalPath(w.ReplacePrefix.V.From, at), b.canonicalPath(w.ReplacePrefix.V.To, at)
		rewrite = filter.ReplacePrefix(from, to)
	case w.PathRegex.IsSet():
		at = w.PathRegex.From
		rewrite = filter.ReplaceRegexp(regexp.MustCompile(w.PathRegex.V.From), w.PathRegex.V.To)
	default:
		return
	}
	if err := rewrite.Check(); err != nil {
		b.problem(at, "%v", err)
	}
	sr.Rewrites = append(sr.Rewrites, rewrite)
}

// edits compiles header edits; nil for none.
func (b *builder) edits(h *schema.HeaderEdits) *filter.Edits {
	var list []filter.Edit
	at := h.From
	add := func(op filter.Op, name, value string, from schema.Origin) {
		list = append(list, filter.Edit{Op: op, Name: name, Value: value})
		if _, err := filter.CompileEdits(list[len(list)-1:]); err != nil {
			b.problem(from, "%v", err)
		}
		at = from
	}
	for _, e := range h.Remove {
		add(filter.Remove, e.V, "", e.From)
	}
	for _, e := range h.Rename {
		add(filter.Rename, e.Old, e.New, e.From)
	}
	for _, e := range h.Set {
		add(filter.Set, e.Name, e.Value.Text, e.From)
	}
	for _, e := range h.Add {
		add(filter.Add, e.Name, e.Value.Text, e.From)
	}
	if len(list) == 0 {
		return nil
	}
	compiled, err := filter.CompileEdits(list)
	if err != nil && !b.diags.HasErrors() {
		b.problem(at, "%v", err)
	}
	return compiled
}
