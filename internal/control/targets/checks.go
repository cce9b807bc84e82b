package targets

import (
	"crypto/tls"
	"regexp"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/probe"
	"sentinel/internal/dataplane/proxyproto"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/event"
)

// checksOf returns the check of each upstream that has one; security tells the TLS of each.
func checksOf(cfg *schema.Config, security func(upstream string) *tls.Config) map[string]*probe.Check {
	checks := make(map[string]*probe.Check)
	for _, u := range cfg.Upstreams {
		if u.HealthCheck != nil {
			c := checkOf(u.HealthCheck)
			c.TLS, c.HTTP2 = security(u.Name.V), u.Protocol.V == "h2c"
			switch u.ProxyProtocol.V { // the connection is our own
			case "v1":
				c.Preface = proxyproto.AppendLocal(nil, 1)
			case "v2":
				c.Preface = proxyproto.AppendLocal(nil, 2)
			}
			checks[u.Name.V] = c
		}
	}
	return checks
}

// Checks returns how a target of each upstream is asked whether it is well. Where cfg has no
// check of an upstream, that is a connection with a TLS handshake where it has TLS, and no
// request.
func Checks(cfg *schema.Config, security func(upstream string) *tls.Config) map[string]*probe.Check {
	checks := checksOf(cfg, security)
	for _, u := range cfg.Upstreams {
		if checks[u.Name.V] == nil {
			checks[u.Name.V] = &probe.Check{Kind: probe.TCP, TLS: security(u.Name.V)}
		}
	}
	return checks
}

func checkOf(h *schema.HealthCheck) *probe.Check {
	t := &h.Type
	c := &probe.Check{
		Method: t.Method.V, Path: t.Path.V, Host: t.Host.V, BodyContains: t.BodyContains.V, Service: t.Service.V,
		Port: int(h.Port.V), Interval: h.Interval.V, IntervalDown: h.DownInterval.V, Timeout: h.Timeout.V,
		JitterPercent: int(h.JitterPercent.V), Healthy: int(h.HealthyThreshold.V), Unhealthy: int(h.UnhealthyThreshold.V),
	}
	switch t.Kind.V {
	case "tcp":
		c.Kind = probe.TCP
	case "grpc":
		c.Kind = probe.GRPC
	}
	for _, r := range t.ExpectedStatus {
		c.Expected = append(c.Expected, probe.Range{From: int(r.V.First), To: int(r.V.Last)})
	}
	if t.BodyRegex.V != "" {
		c.BodyPattern = regexp.MustCompile(t.BodyRegex.V) // the schema has tried it
	}
	return c
}

// judged takes a verdict over: into the endpoint, the view, the metric, the log.
func (k *Keeper) judged(v probe.Verdict) {
	now := k.opt.Clock.Now()
	verdict := upstream.Unhealthy
	if v.Healthy {
		verdict = upstream.Healthy
	}
	for _, e := range k.live.Endpoints() {
		if e.Upstream.Name != v.Upstream || e.Authority != v.Address || e.Dial != v.Dial {
			continue
		}
		old := e.Verdict()
		e.SetVerdict(verdict, now)
		if old == upstream.Unhealthy && verdict == upstream.Healthy {
			e.Upstream.Recovered(e.Endpoint, now)
		} else {
			e.Upstream.Refresh(now)
		}
		if v.First && v.Healthy {
			continue // nothing has happened
		}
		k.opt.Events.Emit(event.Event{
			Kind: event.KindHealth, Worse: !v.Healthy, Upstream: v.Upstream, Target: e.Address,
			From: old.String(), To: verdict.String(), Cause: v.Transcript.Cause, Detail: v.Transcript.String(),
		})
	}
}
