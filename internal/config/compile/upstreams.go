package compile

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/balance"
	"sentinel/internal/dataplane/breaker"
	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/h2"
	"sentinel/internal/dataplane/outlier"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/retry"
	"sentinel/internal/dataplane/sticky"
	"sentinel/internal/dataplane/transport"
	"sentinel/internal/dataplane/upstream"
)

func (b *builder) addUpstreams() {
	for _, u := range b.cfg.Upstreams {
		name := u.Name.V
		up := upstream.New(name, b.upstreamSettings(u), b.live.sharedOf(b.next, name), b.live.opt.Notify)
		up.Metrics = b.live.opt.Metrics.Upstream(name)
		p := &plan{
			up: up, sources: sources(u), limits: poolLimits(u),
			breaker: breakerConfig(u.CircuitBreaker), outlier: outlierConfig(u.PassiveHealth), adaptive: adaptiveConfig(u.AdaptiveConcurrency),
		}
		p.limits.TLS = b.upstreamTLS(u)
		p.budget.percent, p.budget.minPerSecond = int(u.RetryBudget.Percent.V), int(u.RetryBudget.MinPerSecond.V)
		b.next.plans = append(b.next.plans, p)
		b.upstreams[name] = up
		b.snap.Upstreams = append(b.snap.Upstreams, up)
	}
}

func (b *builder) upstreamSettings(u *schema.Upstream) upstream.Settings {
	s := upstream.Settings{
		ResponseTimeout: u.Timeouts.Read.V,
		BoundPercent:    int(u.HashLoadPercent.V), HashBy: affinity(u.HashKey.V), SlowStart: u.SlowStart.V,
		PanicPercent: int(u.PanicThresholdPercent.V), PassDeadline: u.PassDeadline.V, PassedLower: strings.ToLower(u.PassDeadline.V),
		TargetRequestsMax: requestsMax(u), RequestsMax: int(u.MaxConnections.V),
		Sticky: b.stickyCookie(u.StickyCookie),
	}
	s.Balance, _ = balance.ParseKind(u.LoadBalancing.V) // the schema knows the names
	if u.Timeouts.Request.From.Kind == schema.Written {
		s.RequestTimeout = u.Timeouts.Request.V
	}
	s.ProxyHeader = headerVersion(u)
	if q := u.Queue; q != nil {
		s.Queue = queue.Limits{Pending: int(q.MaxPending.V), Wait: q.Timeout.V, Shed: q.ShedAfter.V}
	}
	return s
}

// headerVersion returns the version of the PROXY header that an upstream wants; 0 for none.
func headerVersion(u *schema.Upstream) int {
	switch u.ProxyProtocol.V {
	case "v1":
		return 1
	case "v2":
		return 2
	}
	return 0
}

// stickyCookie reads the keys of a sticky cookie: a cookie that can't be sealed is refused,
// not sent in the clear.
func (b *builder) stickyCookie(c *schema.StickyCookie) *upstream.Sticky {
	if c == nil {
		return nil
	}
	text, err := os.ReadFile(c.KeyFile.V)
	if err != nil {
		b.problem(c.KeyFile.From, "the keys of the sticky cookie can't be read: %v", err)
		return nil
	}
	keys, err := sticky.ParseKeys(text)
	if err != nil {
		b.problem(c.KeyFile.From, "the keys of the sticky cookie in %s are wrong: %v", c.KeyFile.V, err)
		return nil
	}
	attributes := "; Path=" + c.Path.V + "; HttpOnly"
	if c.MaxAge.V > 0 {
		attributes += "; Max-Age=" + strconv.Itoa(int((c.MaxAge.V+time.Second-1)/time.Second)) // 0 would end it at once
	}
	if c.Secure.V {
		attributes += "; Secure"
	}
	attributes += "; SameSite=" + strings.ToUpper(c.SameSite.V[:1]) + c.SameSite.V[1:]
	return &upstream.Sticky{Keys: keys, Name: c.Name.V, Attributes: attributes, MaxAge: c.MaxAge.V}
}

// affinity reads a key such as "client_ip" or "header:NAME".
func affinity(key string) upstream.Affinity {
	kind, name, _ := strings.Cut(key, ":")
	switch kind {
	case "client_ip":
		return upstream.Affinity{By: upstream.ByClient}
	case "header":
		return upstream.Affinity{By: upstream.ByField, Name: strings.ToLower(name)}
	case "cookie":
		return upstream.Affinity{By: upstream.ByCookie, Name: name}
	case "query":
		return upstream.Affinity{By: upstream.ByQuery, Name: name}
	case "path":
		return upstream.Affinity{By: upstream.ByPath}
	case "host":
		return upstream.Affinity{By: upstream.ByHost}
	}
	return upstream.Affinity{}
}

// sources returns where the targets of an upstream are.
func sources(u *schema.Upstream) []Source {
	var list []Source
	for _, t := range u.Targets {
		s := Source{Upstream: u.Name.V, Value: t.Address.V, Weight: int(t.Weight.V)}
		switch {
		case t.SRV.IsSet():
			s.Kind, s.Value = Service, t.SRV.V
		case !isLiteral(s.Value):
			s.Kind = Name
		}
		list = append(list, s)
	}
	if u.TargetsFile.IsSet() {
		list = append(list, Source{Upstream: u.Name.V, Kind: File, Value: u.TargetsFile.V, Weight: 1})
	}
	return list
}

func isLiteral(address string) bool {
	_, err := netip.ParseAddrPort(address)
	return err == nil
}

func poolLimits(u *schema.Upstream) transport.Limits {
	p := &u.ConnectionPool
	return transport.Limits{
		ConnectionsMax: int(p.MaxConnections.V), IdleMax: int(p.MaxIdle.V),
		IdleTimeout: p.IdleTimeout.V, LifetimeMax: p.MaxLifetime.V,
		ConnectTimeout: u.Timeouts.Connect.V, WriteTimeout: u.Timeouts.Write.V,
		Client: h1.DefaultClientLimits(), Protocol: protocol(u), Streams: streamLimits(u),
	}
}

// protocol returns what the targets of an upstream speak.
func protocol(u *schema.Upstream) transport.Protocol {
	switch u.Protocol.V {
	case "h2", "h2c":
		return transport.HTTP2
	case "auto":
		return transport.Auto
	}
	return transport.HTTP1
}

func streamLimits(u *schema.Upstream) h2.ClientLimits {
	l := h2.DefaultClientLimits()
	l.StreamsMax, l.PingAfter = int(u.ConnectionPool.MaxStreams.V), u.ConnectionPool.PingInterval.V
	return l
}

// requestsMax returns how many requests a target may have in progress: as many as its
// connections carry.
func requestsMax(u *schema.Upstream) int {
	n := int(u.ConnectionPool.MaxConnections.V)
	if protocol(u) != transport.HTTP1 {
		n *= int(u.ConnectionPool.MaxStreams.V)
	}
	return n
}

func breakerConfig(c *schema.CircuitBreaker) *breaker.Config {
	if c == nil {
		return nil
	}
	return &breaker.Config{
		FailureThreshold: int(c.FailureThreshold.V), SuccessThreshold: int(c.SuccessThreshold.V),
		Timeout: c.Timeout.V, HalfOpenMax: int(c.HalfOpenMaxRequests.V),
		ErrorPercent: int(c.ErrorRatePercent.V), SlowCall: c.SlowCall.V, SlowPercent: int(c.SlowCallPercent.V),
		Window: c.Window.V, MinRequests: int(c.MinRequests.V),
	}
}

func outlierConfig(c *schema.PassiveHealth) *outlier.Config {
	if c == nil {
		return nil
	}
	return &outlier.Config{
		ConsecutiveFailures: int(c.ConsecutiveFailures.V), ConsecutiveGatewayErrors: int(c.ConsecutiveGatewayErrors.V),
		Ejection: c.Ejection.V, EjectionMax: c.MaxEjection.V, MaxEjectedPercent: int(c.MaxEjectedPercent.V),
	}
}

func adaptiveConfig(c *schema.AdaptiveConcurrency) *queue.AdaptiveConfig {
	if c == nil {
		return nil
	}
	return &queue.AdaptiveConfig{
		Min: int(c.MinLimit.V), Max: int(c.MaxLimit.V), Tolerance: float64(c.TolerancePercent.V) / 100, Window: c.Window.V,
	}
}

// retryPolicy returns the policy of a route. Content is kept for another try only where one
// could follow after a target has seen it.
func retryPolicy(c *schema.RetryPolicy) *retry.Policy {
	p := &retry.Policy{
		Attempts: int(c.MaxAttempts.V), NonIdempotent: c.NonIdempotent.V, PerTry: c.PerTryTimeout.V,
		Backoff: c.Backoff.V, BackoffMax: c.MaxBackoff.V, HedgeAfter: c.HedgeAfter.V,
	}
	for _, word := range c.RetryOn {
		on, _ := retry.ParseCondition(word.V) // the schema knows the words
		p.On |= on
	}
	for _, code := range c.StatusCodes {
		p.Statuses.Add(int(code.V))
	}
	for _, word := range c.GRPCStatus {
		p.Calls.AddName(word.V) // likewise
	}
	if p.On&^(retry.ConnectFailure|retry.RefusedStream) != 0 || len(c.StatusCodes) > 0 || p.Calls != 0 || p.HedgeAfter > 0 {
		p.BodyBytesMax = c.MaxBodySize.V
	}
	return p
}

func priority(word string) queue.Priority {
	switch word {
	case "low":
		return queue.Low
	case "high":
		return queue.High
	case "critical":
		return queue.Critical
	}
	return queue.Normal
}

// Sources returns where the targets of every upstream of a configuration are.
func Sources(cfg *schema.Config) []Source {
	var list []Source
	for _, u := range cfg.Upstreams {
		list = append(list, sources(u)...)
	}
	return list
}
