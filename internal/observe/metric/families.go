package metric

import (
	"runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"sentinel/internal/dataplane/fault"
)

// Kind is the type of a family in the exposition format.
type Kind string

// The types in use.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
	Summary   Kind = "summary"
)

// Family describes one metric family, for the reference page.
type Family struct {
	Name   string
	Kind   Kind
	Help   string
	Labels []string
}

// family is a Family that can be collected. To add one: a counter in its
// handle, a row in families, a line in docs.
type family struct {
	Family
	desc    *prometheus.Desc
	collect func(*view, emitter)
}

// emitter sends the metrics of one family. Label values are in the order of Family.Labels.
type emitter struct {
	ch   chan<- prometheus.Metric
	desc *prometheus.Desc
}

func (e emitter) counter(v float64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(e.desc, prometheus.CounterValue, v, labels...)
}

func (e emitter) gauge(v float64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(e.desc, prometheus.GaugeValue, v, labels...)
}

func (e emitter) histogram(t *total, labels ...string) {
	count, byBound := t.cumulative()
	e.ch <- prometheus.MustNewConstHistogram(e.desc, count, t.seconds(), byBound, labels...)
}

// Reference returns all families of this package in the order of the table,
// for the generated page. process_* and go_* come from client_golang.
func Reference() []Family {
	table := families()
	list := make([]Family, len(table))
	for i := range table {
		list[i] = table[i].Family
	}
	return list
}

func row(name string, kind Kind, help string, collect func(*view, emitter), labels ...string) family {
	return family{
		Family:  Family{Name: name, Kind: kind, Help: help, Labels: labels},
		desc:    prometheus.NewDesc(name, help, labels, nil),
		collect: collect,
	}
}

// families is the table of everything shown. Names are stable. No name but the
// first may contain "requests_total", because the runbook greps for it.
func families() []family {
	return slices.Concat(requestFamilies(), streamFamilies(), challengeFamilies(), tokenKeyFamilies(), storeFamilies(), issuanceFamilies(), upstreamFamilies(), certificateFamilies(), overrideFamilies(), configFamilies(), processFamilies())
}

func requestFamilies() []family {
	return []family{
		row("sentinel_requests_total", Counter, "Answered requests, those that the proxy itself answered included; route \"-\" is none.",
			collectRequests, "code", "route", "status"),
		row("sentinel_request_duration_seconds", Histogram, "Time from the first byte of a request read to the last byte of its response written.",
			collectDurations, "route"),
		row("sentinel_faults_total", Counter, "Requests that failed, by cause; side says who has to act.",
			collectFaults, "fault", "route", "side"),
		row("sentinel_rate_limited_total", Counter, "Requests that a rate limit found too many, by what was done to them.",
			collectLimits, "limit", "outcome", "scope"),
		row("sentinel_policy_decisions_total", Counter, "Requests that a policy of access allowed or denied, couldn't decide about (error), or would have refused were it not in shadow mode.",
			collectPolicies, "outcome", "policy", "route"),
		row("sentinel_shadowed_total", Counter, "Requests and connections that something in shadow mode would have refused, by the fault it would have been.",
			collectShadowed, "fault"),
		row("sentinel_failovers_total", Counter, "Requests that went to the route's fallback upstream.",
			collectFailovers, "route"),
		row("sentinel_mirrored_total", Counter, "Copies of requests for a route's mirror, by what became of them.",
			collectMirrored, "outcome", "route"),
		row("sentinel_open_connections", Gauge, "Client connections that are open.",
			collectOpen, "listener"),
		row("sentinel_accepted_connections_total", Counter, "Client connections accepted.",
			collectAccepted, "listener"),
		row("sentinel_tls_handshakes_total", Counter, "TLS handshakes of clients by outcome: full, resumed or failed.",
			collectHandshakes, "listener", "outcome"),
		row("sentinel_refused_connections_total", Counter, "Client connections that were ended as soon as they were accepted, by cause.",
			collectRefused, "reason"),
		row("sentinel_kernel_bans", Gauge, "Banned prefixes that the kernel keeps out, by kernel-bans.",
			func(v *view, e emitter) { e.gauge(float64(v.process.kernelBans.Load())) }),
		row("sentinel_kernel_dropped_total", Counter, "Packets that would have begun a connection of a banned client and that the kernel dropped.",
			func(v *view, e emitter) { e.counter(float64(v.process.kernelDropped.Load())) }),
		row("sentinel_memory_budget_bytes", Gauge, "Memory that the process may take; 0 is no bound.",
			func(v *view, e emitter) { e.gauge(float64(v.process.memoryBudget.Load())) }),
		row("sentinel_memory_stage", Gauge, "How short memory is: 0 ample, 1 lean, 2 tight, 3 short.",
			func(v *view, e emitter) { e.gauge(float64(v.process.memoryStage.Load())) }),
		row("sentinel_max_connections", Gauge, "Limit of client connections; 0 is no limit.",
			func(v *view, e emitter) { e.gauge(float64(v.process.maxConnections.Load())) }),
	}
}

func upstreamFamilies() []family {
	return []family{
		row("sentinel_upstream_request_duration_seconds", Summary, "Upstream latency over the last 5 minutes, to within 1.6 %; 0 when there was no request.",
			collectQuantiles, "upstream"),
		row("sentinel_upstream_latency_seconds", Histogram, "Time from the first byte of a request written to an upstream to the last byte of its response read.",
			collectLatency, "upstream"),
		row("sentinel_upstream_health", Gauge, "1 when the target is healthy or unchecked, 0 when its health checks fail.",
			collectHealth, "target", "upstream"),
		row("sentinel_circuit_breaker_state", Gauge, "State of the target's circuit breaker: 0 closed, 1 open, 2 half-open.",
			collectBreakers, "target", "upstream"),
		row("sentinel_pending_requests", Gauge, "Requests that wait in the bounded queue for an upstream connection.",
			collectPending, "upstream"),
		row("sentinel_upstream_connections", Gauge, "Upstream connections in the pool by state, active or idle.",
			collectPools, "state", "upstream"),
		row("sentinel_upstream_connections_opened_total", Counter, "Connections established to targets.",
			collectOpened, "upstream"),
		row("sentinel_upstream_connections_reused_total", Counter, "Requests sent on a connection that was idle in the pool.",
			collectReused, "upstream"),
		row("sentinel_upstream_retries_total", Counter, "Tries beyond the first one of a request.",
			collectRetries, "upstream"),
		row("sentinel_upstream_errors_total", Counter, "Tries at targets that brought no whole response, or one with a status of 5xx.",
			func(v *view, e emitter) {
				for _, u := range v.upstreams {
					e.counter(float64(u.failed.Load()), u.name)
				}
			}, "upstream"),
	}
}

func processFamilies() []family {
	return []family{
		row("sentinel_config_reload_total", Counter, "Reloads of the configuration by result.",
			func(v *view, e emitter) {
				e.counter(float64(v.process.reloadsSucceeded.Load()), "success")
				e.counter(float64(v.process.reloadsFailed.Load()), "failure")
			}, "result"),
		row("sentinel_config_reload_last_success_timestamp_seconds", Gauge, "Unix time at which the present configuration began to serve.",
			func(v *view, e emitter) { e.gauge(float64(v.process.lastSuccess.Load()) / 1000) }),
		row("sentinel_config_reload_last_successful", Gauge, "1 when the last load of the configuration succeeded, else 0.",
			func(v *view, e emitter) { e.gauge(boolean(v.process.lastSuccessful.Load())) }),
		row("sentinel_config_generation", Gauge, "Number of the present configuration, counted from the start of the process.",
			func(v *view, e emitter) { e.gauge(float64(v.process.generation.Load())) }),
		row("sentinel_access_log_dropped_total", Counter, "Access log lines dropped because the buffer was full.",
			func(v *view, e emitter) { e.counter(float64(v.process.accessLogDropped.Load())) }),
		row("sentinel_events_suppressed_total", Counter, "Failing requests left out of the event log because there were too many.",
			func(v *view, e emitter) { e.counter(float64(v.process.eventsSuppressed.Load())) }),
		row("sentinel_build_info", Gauge, "Always 1; the labels say what runs.",
			func(v *view, e emitter) { e.gauge(1, runtime.Version(), v.options.Revision, v.options.Version) },
			"goversion", "revision", "version"),
		row("sentinel_up", Gauge, "Always 1 while the process runs.",
			func(_ *view, e emitter) { e.gauge(1) }),
	}
}

func collectRequests(v *view, e emitter) {
	for _, r := range v.routes {
		_, codes := r.counts()
		for i, n := range codes {
			if n > 0 || isZeroCode(i+codeFirst) {
				l := &labelsOfCode[i]
				e.counter(float64(n), l.code, r.name, l.status)
			}
		}
	}
}

func collectDurations(v *view, e emitter) {
	for _, r := range v.routes {
		durations, _ := r.counts()
		e.histogram(&durations, r.name)
	}
}

func collectFaults(v *view, e emitter) {
	for _, r := range v.routes {
		for k := range fault.All() {
			if n := r.faultCount(k); n > 0 || r.hasZero(k) {
				e.counter(float64(n), k.String(), r.name, k.Side().String())
			}
		}
	}
}

func collectOpen(v *view, e emitter) {
	for _, l := range v.listeners {
		open, _ := l.connections()
		e.gauge(float64(open), l.name)
	}
}

func collectAccepted(v *view, e emitter) {
	for _, l := range v.listeners {
		_, accepted := l.connections()
		e.counter(float64(accepted), l.name)
	}
}

func collectQuantiles(v *view, e emitter) {
	epoch := v.epoch.Load()
	for _, u := range v.upstreams {
		t := u.latency()
		e.ch <- prometheus.MustNewConstSummary(e.desc, t.count(), t.seconds(), u.latencyQuantiles(epoch), u.name)
	}
}

func collectLatency(v *view, e emitter) {
	for _, u := range v.upstreams {
		t := u.latency()
		e.histogram(&t, u.name)
	}
}

func collectHealth(v *view, e emitter) {
	for _, u := range v.upstreams {
		for _, t := range u.targets() {
			e.gauge(boolean(t.healthy.Load()), t.address, u.name)
		}
	}
}

func collectBreakers(v *view, e emitter) {
	for _, u := range v.upstreams {
		for _, t := range u.targets() {
			e.gauge(float64(t.breaker.Load()), t.address, u.name)
		}
	}
}

func collectPending(v *view, e emitter) {
	for _, u := range v.upstreams {
		e.gauge(float64(u.pending.Load()), u.name)
	}
}

func collectPools(v *view, e emitter) {
	for _, u := range v.upstreams {
		var s PoolState
		if f := u.pool.Load(); f != nil {
			s = (*f)()
		}
		e.gauge(float64(s.Active), "active", u.name)
		e.gauge(float64(s.Idle), "idle", u.name)
	}
}

func collectOpened(v *view, e emitter) {
	for _, u := range v.upstreams {
		e.counter(float64(u.opened.Load()), u.name)
	}
}

func collectFailovers(v *view, e emitter) {
	for _, r := range v.routes {
		if n := r.fallback.Load(); n != nil {
			e.counter(float64(n.Load()), r.name)
		}
	}
}

func collectMirrored(v *view, e emitter) {
	for _, r := range v.routes {
		m := r.mirrored.Load()
		if m == nil {
			continue
		}
		for o := range mirrorOutcomes {
			e.counter(float64(m[o].Load()), o.String(), r.name)
		}
	}
}

func collectRetries(v *view, e emitter) {
	for _, u := range v.upstreams {
		e.counter(float64(u.retried.Load()), u.name)
	}
}

func collectReused(v *view, e emitter) {
	for _, u := range v.upstreams {
		e.counter(float64(u.reused()), u.name)
	}
}

func boolean(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
