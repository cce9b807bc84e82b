package diagnose

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/probe"
	"sentinel/internal/dataplane/fault"
)

// trouble is a target that fails, and how.
type trouble struct {
	upstream, address string
	code              string
	why               string // the evidence, one line
}

// troubles returns what is wrong with each target: by our own probe, which is the freshest, else
// by the last check of the process.
func (f *facts) troubles() []trouble {
	var all []trouble
	states := make(map[[3]string]*admin.TargetStatus)
	for i := range f.running.upstreams {
		u := &f.running.upstreams[i]
		for j := range u.Targets {
			t := &u.Targets[j]
			states[[3]string{u.Name, t.Address, t.Resolved}] = t
		}
	}
	seen := make(map[[3]string]bool)
	probedAny := make(map[string]bool)
	for _, p := range f.probes {
		key := [3]string{p.upstream, p.address, p.dial}
		probedAny[p.upstream] = true
		t := states[key]
		if p.t == nil || p.t.OK || p.t.Own || t != nil && isDrained(t) {
			continue
		}
		seen[key] = true
		all = append(all, trouble{p.upstream, p.address, codeOf(p.t), "probe now: " + p.t.String() + excerpt(p.t)})
	}
	for i := range f.running.upstreams {
		u := &f.running.upstreams[i]
		for j := range u.Targets {
			t := &u.Targets[j]
			if key := [3]string{u.Name, t.Address, t.Resolved}; !seen[key] {
				if x, ok := troubleOf(u.Name, t); ok {
					all = append(all, x)
				}
			}
		}
		if len(u.Targets) == 0 && !probedAny[u.Name] {
			all = append(all, trouble{u.Name, "(no target)", "upstream-dns", "no name of its targets has an address"})
		}
	}
	return all
}

func isDrained(t *admin.TargetStatus) bool {
	return t.State == admin.TargetDrained || t.State == admin.TargetDraining
}

// troubleOf returns what the process knows to be wrong with a target.
func troubleOf(upstream string, t *admin.TargetStatus) (trouble, bool) {
	x := trouble{upstream: upstream, address: t.Address}
	switch t.State {
	case admin.TargetUnhealthy:
		x.code, x.why = "upstream-check-failed", "unhealthy by its checks: "+t.Cause
		var last probe.Transcript
		if json.Unmarshal(t.Probe, &last) == nil && !last.OK && last.Layer != "" {
			x.code = codeOf(&last)
			x.why += ": " + last.String() + excerpt(&last)
		}
		return x, true
	case admin.TargetEjected:
		x.code, x.why = "upstream-ejected", "left out until "+clock(t.EjectedUntil)+": "+t.Cause
		return x, true
	}
	return x, false
}

// excerpt is the beginning of what a target answered to a check that it failed.
func excerpt(t *probe.Transcript) string {
	if t.Body == "" {
		return ""
	}
	return fmt.Sprintf(", body %q", clip(t.Body, 60))
}

// codeOf returns the cause that a probe came to, by the layer that failed.
func codeOf(t *probe.Transcript) string {
	timedOut := strings.HasSuffix(t.Cause, "timed out")
	has := func(s string) bool { return strings.Contains(t.Cause, s) }
	switch t.Layer {
	case probe.LayerResolve:
		return "upstream-dns"
	case probe.LayerConnect:
		switch {
		case timedOut:
			return "upstream-timeout"
		case has("unreachable"), has("no route"), has("not permitted"):
			return "upstream-unreachable"
		case has("reset"):
			return "upstream-breaks-off"
		}
		return "upstream-refused"
	case probe.LayerTLS:
		switch {
		case has("expired"), has("not valid before"):
			return "upstream-tls-expired"
		case has("unknown authority"):
			return "upstream-tls-authority"
		case has("another name"):
			return "upstream-tls-name"
		}
		return "upstream-tls"
	}
	switch {
	case timedOut:
		return "upstream-slow"
	case has("not HTTP"), has("too long"), has("interim"):
		return "upstream-garbage"
	case has("closed"), has("reset"):
		return "upstream-breaks-off"
	}
	return "upstream-check-failed"
}

// codeOfFault returns the cause that a fault of requests stands for; "" for none of a target.
func codeOfFault(k fault.Kind) string {
	switch k {
	case fault.UpstreamRefused:
		return "upstream-refused"
	case fault.UpstreamConnectTimeout:
		return "upstream-timeout"
	case fault.UpstreamUnreachable:
		return "upstream-unreachable"
	case fault.UpstreamNameUnresolved:
		return "upstream-dns"
	case fault.UpstreamReset, fault.UpstreamClosed, fault.UpstreamWriteFailed, fault.UpstreamTruncated, fault.UpstreamRefusedStream:
		return "upstream-breaks-off"
	case fault.UpstreamBadResponse, fault.UpstreamBadFraming, fault.UpstreamHeadTooLarge, fault.UpstreamBadUpgrade, fault.UpstreamProtocol:
		return "upstream-garbage"
	case fault.UpstreamResponseTimeout, fault.UpstreamReadTimeout, fault.RequestDeadline, fault.UpstreamWriteTimeout:
		return "upstream-slow"
	case fault.UpstreamCertificateExpired:
		return "upstream-tls-expired"
	case fault.UpstreamCertificateAuthority:
		return "upstream-tls-authority"
	case fault.UpstreamCertificateName:
		return "upstream-tls-name"
	case fault.UpstreamTLS, fault.UpstreamTLSTimeout, fault.UpstreamTLSRefused, fault.UpstreamCertificate:
		return "upstream-tls"
	}
	return ""
}

// words are how a finding calls each cause.
func words(code string) string {
	return map[string]string{
		"upstream-dns": "the name can't be resolved", "upstream-refused": "connections are refused", "upstream-timeout": "connecting times out",
		"upstream-unreachable": "the network is unreachable", "upstream-tls-expired": "the target's certificate has expired",
		"upstream-tls-authority": "the target's certificate is from an unknown authority", "upstream-tls-name": "the target's certificate is for another name",
		"upstream-tls": "the TLS handshake fails", "upstream-garbage": "answers aren't HTTP", "upstream-breaks-off": "connections break off",
		"upstream-slow": "answers don't come in time", "upstream-check-failed": "the health check gets a wrong answer", "upstream-ejected": "left out for what its answers were",
	}[code]
}

// judgeTargets makes a finding of each upstream and kind of trouble, with the faults of its
// requests.
func judgeTargets(f *facts) []Finding {
	groups := make(map[[2]string][]trouble)
	var order [][2]string
	for _, x := range f.troubles() {
		key := [2]string{x.upstream, x.code}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], x)
	}
	var out []Finding
	for _, key := range order {
		out = append(out, f.troubled(key[0], key[1], groups[key]))
	}
	return out
}

func (f *facts) troubled(upstream, code string, group []trouble) Finding {
	r := Finding{Code: code, Severity: f.impact(upstream), weight: float64(len(group))}
	r.What = fmt.Sprintf("upstream %s: %s (%d of %d targets)", upstream, words(code), len(group), max(f.targetCount(upstream), len(group)))
	if len(group) == 1 {
		r.What = fmt.Sprintf("upstream %s: %s (%s, 1 of %d targets)", upstream, words(code), group[0].address, max(f.targetCount(upstream), 1))
	}
	for _, x := range group[:min(len(group), linesShown)] {
		r.Evidence = append(r.Evidence, x.address+": "+x.why)
	}
	for name, n := range f.running.minute.faults {
		if k, ok := fault.Parse(name); ok && codeOfFault(k) == code {
			r.Evidence = append(r.Evidence, fmt.Sprintf("%d requests of the last minute failed by %s (%s)", n, name, k.Row().Code))
		}
	}
	slices.Sort(r.Evidence[min(len(group), linesShown):])
	if routes := f.routesOf(upstream); len(routes) > 0 {
		r.Evidence = append(r.Evidence, "routes that use it: "+strings.Join(routes, " ")+f.fallbackText(upstream))
	}
	r.Commands = f.upstreamCommands(upstream, code, group)
	return r
}

func (f *facts) fallbackText(upstream string) string {
	for _, r := range f.cfg.Routes {
		if r.Upstream.V == upstream && r.Fallback.V != "" {
			return "; fallback: " + r.Fallback.V
		}
	}
	return "; none has a fallback"
}

// upstreamCommands look at the layer that fails, and keep requests away where others can serve.
func (f *facts) upstreamCommands(upstream, code string, group []trouble) []Command {
	address := group[0].address
	host, port, err := net.SplitHostPort(address)
	out := []Command{}
	if f.running.err == nil {
		out = append(out, Command{"all that is known of its targets", f.command("upstreams " + Word(upstream))})
	}
	if err == nil {
		switch code {
		case "upstream-dns":
			out = append(out, Command{"ask the name server", "dig +short " + Word(host)}, Command{"which name servers there are", "cat /etc/resolv.conf"})
		case "upstream-tls-expired", "upstream-tls-authority", "upstream-tls-name", "upstream-tls":
			out = append(out, Command{"see the certificate that it shows", "openssl s_client -connect " + Word(address) + " -servername " + Word(f.serverName(upstream, host)) + " </dev/null"})
		case "upstream-refused", "upstream-timeout", "upstream-unreachable":
			out = append(out, Command{"try it from this machine", "nc -zv -w 3 " + Word(host) + " " + port})
			if code != "upstream-refused" {
				out = append(out, Command{"see where packets end", "traceroute -n " + Word(host)})
			}
		default:
			out = append(out, Command{"ask it by hand", "curl -sv -m 5 -o /dev/null http://" + Word(address) + "/"})
		}
	}
	if usable, _ := f.usable(upstream); usable && f.running.err == nil && f.targetCount(upstream) > len(group) {
		for _, x := range group[:min(len(group), 3)] {
			if err == nil {
				out = append(out, Command{"keep requests away from it (undo: the same with --undo)", f.command("drain " + Word(upstream+"/"+x.address) + " --reason " + Word(words(code)))})
			}
		}
	}
	return out
}

func (f *facts) serverName(upstream, host string) string {
	for _, u := range f.cfg.Upstreams {
		if u.Name.V == upstream && u.TLS != nil && u.TLS.SNI.V != "" {
			return u.TLS.SNI.V
		}
	}
	return host
}

// judgeUpstreamFaults makes findings of faults of requests that no look at a target explains:
// targets that only fail under requests.
func judgeUpstreamFaults(f *facts) []Finding {
	counts := make(map[string]uint64)
	parts := make(map[string][]string)
	var routes map[string]bool
	for k := range fault.All() {
		code := codeOfFault(k)
		if n := f.faultCount(k); code != "" && n > 0 {
			counts[code] += n
			parts[code] = append(parts[code], fmt.Sprintf("%d requests of the last minute failed by %s (%s): %s", n, k.String(), k.Row().Code, k.Row().Meaning))
		}
	}
	var out []Finding
	for _, x := range f.troubles() {
		delete(counts, x.code)
	}
	for _, code := range upstreamCodes() {
		n := counts[code]
		share := f.share(n)
		if n < countLeast || share < 0.01 {
			continue
		}
		routes = f.routesWith(func(k fault.Kind) bool { return codeOfFault(k) == code })
		r := Finding{Code: code, Severity: byShare(share), Evidence: parts[code], weight: share}
		names := sortedKeys(routes)
		ups := f.upstreamsOf(names)
		r.What = fmt.Sprintf("%s of requests fail: %s", percent(share), words(code))
		if len(ups) > 0 {
			r.What = fmt.Sprintf("upstream %s: %s (%s of all requests)", strings.Join(ups, ", "), words(code), percent(share))
			r.Evidence = append(r.Evidence, "routes: "+strings.Join(names, " "))
			group := []trouble{{upstream: ups[0], address: f.anyTarget(ups[0])}}
			r.Commands = f.upstreamCommands(ups[0], code, group)
		}
		r.Evidence = append(r.Evidence, f.latencyText(ups)...)
		r.Commands = append(r.Commands, f.mitigateSlow(code, names)...)
		out = append(out, r)
	}
	return out
}

// mitigateSlow gives the routes of a slow upstream more time, or their fallback.
func (f *facts) mitigateSlow(code string, routes []string) (out []Command) {
	for _, r := range f.cfg.Routes {
		if !slices.Contains(routes, r.Name.V) || len(out) > 3 {
			continue
		}
		if code == "upstream-slow" {
			out = append(out, Command{"give the route more time for half an hour (undo: emergency revert)", f.command("emergency timeouts --route " + Word(r.Name.V) + " --request-secs 60 --read-secs 30 --reason 'sentinel diagnose'")})
		}
		if ok, _ := f.usable(r.Fallback.V); ok {
			out = append(out, Command{"send the route to its fallback for half an hour (undo: emergency revert)", f.command("emergency fallback " + Word(r.Name.V) + " --use --reason 'sentinel diagnose'")})
		}
	}
	return out
}

// latencyText tells how slow upstreams are.
func (f *facts) latencyText(ups []string) []string {
	var out []string
	for _, u := range ups {
		p99 := f.after.series[fmt.Sprintf(`sentinel_upstream_request_duration_seconds{upstream=%q,quantile="0.99"}`, u)]
		p50 := f.after.series[fmt.Sprintf(`sentinel_upstream_request_duration_seconds{upstream=%q,quantile="0.5"}`, u)]
		if p99 > 0 {
			out = append(out, fmt.Sprintf("latency of %s over 5 minutes: half below %.3f s, 99 %% below %.3f s", u, p50, p99))
		}
	}
	return out
}

// judgeBreakers tells of breakers that keep requests away.
func judgeBreakers(f *facts) []Finding {
	var out []Finding
	for i := range f.running.upstreams {
		u := &f.running.upstreams[i]
		r := Finding{Code: "breaker-open", Severity: f.impact(u.Name)}
		for _, t := range u.Targets {
			if t.Breaker.State == admin.BreakerOpen || t.Breaker.State == admin.BreakerHalfOpen {
				r.Evidence = append(r.Evidence, fmt.Sprintf("%s: %s since %s: %s", t.Address, t.Breaker.State, clock(t.Breaker.Since), t.Breaker.Cause))
			}
		}
		if len(r.Evidence) == 0 {
			continue
		}
		r.What = fmt.Sprintf("upstream %s: the breaker of %d of its %d targets keeps requests away", u.Name, len(r.Evidence), len(u.Targets))
		r.weight = float64(len(r.Evidence))
		if n := f.faultCount(fault.BreakerOpen); n > 0 {
			r.Evidence = append(r.Evidence, fmt.Sprintf("%d requests of the last minute were answered 503 for it", n))
		}
		r.Commands = []Command{
			{"why, by target", f.command("upstreams " + Word(u.Name))},
			{"what changed before", f.command("events --since 15m --upstream " + Word(u.Name))},
			{"it closes by itself after successes; follow that", f.command("events --follow --kind breaker")},
		}
		out = append(out, r)
	}
	return out
}
