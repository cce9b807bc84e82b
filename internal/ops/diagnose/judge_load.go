package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"sentinel/internal/dataplane/fault"
)

// judgeSaturation says which bound is reached.
func judgeSaturation(f *facts) []Finding {
	var out []Finding
	out = append(out, judgeConnections(f)...)
	out = append(out, judgeQueues(f)...)
	if n := f.faultCount(fault.RequestLimit); n >= countLeast && f.share(n) >= 0.01 {
		out = append(out, Finding{
			Code: "request-limit", Severity: min(byShare(f.share(n)), SEV2), What: fmt.Sprintf("max-concurrent-requests is reached: %s of requests are answered 503", percent(f.share(n))),
			Evidence: []string{fmt.Sprintf("%d requests of the last minute failed by %s (%s)", n, fault.RequestLimit.String(), fault.RequestLimit.Row().Code)},
			Commands: []Command{{"where the bound stands", f.command("config show") + " | grep -n max-concurrent-requests"}, {"which upstream is slow", f.command("upstreams")}},
		})
	}
	return out
}

func judgeConnections(f *facts) []Finding {
	s := &f.running.status
	n := f.faultCount(fault.ConnectionLimit)
	full := ""
	if s.Limit > 0 && float64(s.Connections) >= 0.95*float64(s.Limit) {
		full = fmt.Sprintf("%d client connections are open, max-connections is %d", s.Connections, s.Limit)
	}
	for _, l := range s.Listeners {
		if full == "" && l.Limit > 0 && float64(l.Connections) >= 0.95*float64(l.Limit) {
			full = fmt.Sprintf("%d connections are open at listener %s, its max-connections is %d", l.Connections, l.Name, l.Limit)
		}
	}
	if c, _, _ := f.clientAtLimit(); full == "" && (n < countLeast || c != "") {
		return nil
	}
	r := Finding{Code: "connection-limit", What: "the limit of connections is reached: " + full}
	if full == "" {
		r.What = fmt.Sprintf("the limit of connections was reached: %d connections of the last minute were refused", n)
		r.Severity = SEV3
	} else {
		r.Evidence = append(r.Evidence, full)
	}
	if n > 0 {
		r.Evidence = append(r.Evidence, fmt.Sprintf("%d connections of the last minute were refused for it (%s)", n, fault.ConnectionLimit.Row().Code))
	}
	if c, k := f.topPeer(); k > 0 {
		r.Evidence = append(r.Evidence, fmt.Sprintf("most connections has %s: %d", c, k))
		r.Commands = append(r.Commands, Command{"if it shouldn't have them, keep it out for a while (undo: unban)", f.command("ban " + Word(c) + " --for 30m --reason 'too many connections'")})
	}
	r.Commands = append([]Command{{"who has most", f.command("top clients")}}, r.Commands...)
	if s.Limit > 0 {
		r.Commands = append(r.Commands, Command{"if they are wanted and memory allows, let more in for half an hour (undo: emergency revert)", f.command(fmt.Sprintf("emergency limits --max-connections %d --reason 'sentinel diagnose'", 2*s.Limit))})
	}
	return []Finding{r}
}

func judgeQueues(f *facts) []Finding {
	kinds := []fault.Kind{fault.QueueFull, fault.QueueTimeout, fault.UpstreamConnectionLimit}
	var n uint64
	var evidence []string
	for _, k := range kinds {
		if c := f.faultCount(k); c > 0 {
			n += c
			evidence = append(evidence, fmt.Sprintf("%d requests of the last minute failed by %s (%s)", c, k.String(), k.Row().Code))
		}
	}
	var waiting []string
	for _, u := range f.running.upstreams {
		if u.Pending > 0 {
			waiting = append(waiting, fmt.Sprintf("%d requests wait for upstream %s, %d are in progress", u.Pending, u.Name, u.InProgress))
		}
	}
	if n < countLeast || f.share(n) < 0.01 {
		return nil
	}
	ups := f.upstreamsOf(sortedKeys(f.routesWith(func(k fault.Kind) bool { return slices.Contains(kinds, k) })))
	r := Finding{
		Code: "queue-full", Severity: min(byShare(f.share(n)), SEV2), Evidence: append(evidence, waiting...),
		What: fmt.Sprintf("upstream %s can't keep up: %s of requests find no place in its queue", strings.Join(ups, ", "), percent(f.share(n))),
	}
	r.Evidence = append(r.Evidence, f.latencyText(ups)...)
	for _, u := range ups {
		r.Commands = append(r.Commands, Command{"how its targets do", f.command("upstreams " + Word(u))})
	}
	r.Commands = append(r.Commands, Command{"who sends", f.command("top clients")}, Command{"how much it may have at once", f.command("config show") + " | grep -n -A8 -e connection-pool -e queue"})
	return []Finding{r}
}

// limitedShare is the part of requests from which on limits are more than a few clients' trouble.
const limitedShare = 0.05

// judgeLimits says that limits turn away many.
func judgeLimits(f *facts) []Finding {
	var out []Finding
	n := f.faultCount(fault.RateLimited)
	if share := f.share(n); n >= countLeast && share >= limitedShare && len(judgeAttack(f)) == 0 {
		routes := sortedKeys(f.routesWith(func(k fault.Kind) bool { return k == fault.RateLimited }))
		r := Finding{
			Code: "route-limited", Severity: min(byShare(share), SEV2),
			What:     fmt.Sprintf("rate limits turn away %s of requests, on route %s", percent(share), strings.Join(routes, ", ")),
			Evidence: append([]string{fmt.Sprintf("%d requests of the last minute were answered 429", n)}, f.limitsHit()...),
			Commands: []Command{{"who sends", f.command("top clients")}, {"what the limits are, and where", f.command("config show") + " | grep -n -A6 rate-limit"}},
		}
		if c, part := frequent(f.running.minute); c.Key != "" {
			r.Evidence = append(r.Evidence, fmt.Sprintf("most requests has %q: %s of them", c.Key, percent(part)))
		}
		for _, route := range routes[:min(len(routes), 3)] {
			higher := fmt.Sprintf("emergency rate-limit --route %s --requests-per-second %d --reason 'sentinel diagnose'", Word(route), 2*f.limitOf(route))
			r.Commands = append(r.Commands, Command{"what twice the limit would have done", f.command(higher + " --dry-run")},
				Command{"allow twice as many for half an hour (undo: emergency revert)", f.command(higher)})
		}
		out = append(out, r)
	}
	return append(append(out, judgeClientLimit(f)...), judgeRefused(f)...)
}

// limitOf returns how many requests per second a route lets through, as far as that is one number.
func (f *facts) limitOf(route string) int64 {
	limits := f.cfg.RateLimits
	for _, r := range f.cfg.Routes {
		if r.Name.V == route && len(r.RateLimits) > 0 {
			limits = r.RateLimits
		}
	}
	least := int64(0)
	for _, l := range limits {
		if n := max(l.PerSecond.V, l.PerMinute.V/60); least == 0 || n < least {
			least = n
		}
	}
	return max(least, 1)
}

// perClient returns the lowest max-connections-per-client, 0 for none.
func (f *facts) perClient() int64 {
	least := f.cfg.Limits.MaxConnectionsPerClient.V
	for _, l := range f.cfg.Listeners {
		if n := l.Limits.MaxConnectionsPerClient.V; n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// clientAtLimit returns a client that has as many connections as one may, and how many.
func (f *facts) clientAtLimit() (client string, n int, limit int64) {
	limit = f.perClient()
	if c, k := f.topPeer(); limit > 0 && int64(k) >= limit {
		return c, k, limit
	}
	return "", 0, limit
}

// judgeClientLimit says which client is at its limit. Clients on the loopback are let in beyond
// it to ask for health, and refused by another fault for the rest.
func judgeClientLimit(f *facts) []Finding {
	n := f.faultCount(fault.ClientConnectionLimit)
	c, k, limit := f.clientAtLimit()
	if c != "" {
		n += f.faultCount(fault.ConnectionLimit)
	}
	if n < countLeast {
		return nil
	}
	r := Finding{
		Code: "client-limit", What: fmt.Sprintf("a client reaches max-connections-per-client: %d of its connections were refused in the last minute", n),
		Evidence: []string{fmt.Sprintf("the limit is %d", limit)},
		Commands: []Command{{"who it is", f.command("top clients")}},
	}
	if c != "" {
		r.What = fmt.Sprintf("one client, %s with %d connections, reaches max-connections-per-client", c, k)
		r.Evidence = append(r.Evidence, fmt.Sprintf("%d of its connections were refused in the last minute", n))
		r.Commands = append(r.Commands, Command{"if it is no friend, keep it out for a while (undo: unban)", f.command("ban " + Word(c) + " --for 30m --reason 'too many connections'")},
			Command{"if it is one, let it have more for half an hour (undo: emergency revert)", f.command(fmt.Sprintf("emergency limits --max-connections-per-client %d --reason 'sentinel diagnose'", 2*limit))})
	}
	return []Finding{r}
}

// limitsHit names the rate limits that have grown, or have ever turned anybody away.
func (f *facts) limitsHit() []string {
	var out []string
	for series, v := range f.after.series {
		if strings.HasPrefix(series, "sentinel_rate_limited_total{") && label(series, "outcome") != "shadowed" && v > 0 {
			out = append(out, fmt.Sprintf("rate-limit %q of %s: %.0f requests since the start", label(series, "limit"), label(series, "scope"), v))
		}
	}
	slices.Sort(out)
	return first(out, linesShown)
}

func judgeRefused(f *facts) []Finding {
	kinds := []fault.Kind{fault.AccessDenied, fault.ChallengeFailed, fault.Unauthorized, fault.ClaimsRefused, fault.AuthRefused, fault.AuthUnavailable, fault.TokenKeysMissing, fault.PasswordChecksBusy}
	var n, ours uint64
	var evidence []string
	for _, k := range kinds {
		if c := f.faultCount(k); c > 0 {
			n += c
			if k.Status() >= 500 {
				ours += c
			}
			evidence = append(evidence, fmt.Sprintf("%d requests of the last minute: %s (%s): %s", c, k.String(), k.Row().Code, k.Row().Remedy))
		}
	}
	share := f.share(n)
	if n < countLeast || share < 0.2 && f.share(ours) < 0.01 {
		return nil
	}
	r := Finding{
		Code: "clients-refused", Severity: SEV3, What: fmt.Sprintf("%s of requests are turned away by access lists, challenges or authentication", percent(share)), Evidence: evidence,
		Commands: []Command{{"who is turned away", f.command("top clients")}, {"what the policies are, and where", f.command("config show") + " | grep -n -A6 -e access -e auth -e challenge"}},
	}
	if f.share(ours) >= 0.1 {
		r.Severity = SEV2
	}
	return []Finding{r}
}

// slowKinds are the faults of clients that send or read too slowly.
func slowKinds() []fault.Kind {
	return []fault.Kind{fault.HeadTimeout, fault.ContentTimeout, fault.ContentTooSlow, fault.TLSTimeout, fault.HelloTimeout, fault.ClientStalled, fault.ProxyHeaderTimeout}
}

// slowLeast is how many slow clients in a minute are more than some poor networks.
const slowLeast = 20

func judgeSlowClients(f *facts) []Finding {
	var n uint64
	var evidence []string
	for _, k := range slowKinds() {
		if c := f.faultCount(k); c > 0 {
			n += c
			evidence = append(evidence, fmt.Sprintf("%d in the last minute: %s (%s): %s", c, k.String(), k.Row().Code, k.Row().Meaning))
		}
	}
	if n < slowLeast || float64(n) < 0.05*float64(f.requests()) {
		return nil
	}
	r := Finding{
		Code: "slow-clients", What: fmt.Sprintf("%d clients of the last minute were cut off because they sent or read too slowly", n),
		Evidence: append(evidence, f.connectionsText()),
		Commands: []Command{{"who has most connections", "ss -tn state established '( sport = :" + f.anyPort() + " )' | awk '{print $4}' | sed 's/:[0-9]*$//' | sort | uniq -c | sort -rn | head"}},
	}
	if c, k := f.topPeer(); k > 0 {
		r.Evidence = append(r.Evidence, fmt.Sprintf("most connections has %s: %d", c, k))
	}
	if c, part := frequent(f.running.minute); c.Key != "" && part > 0.3 {
		r.Evidence = append(r.Evidence, fmt.Sprintf("%q has %s of the requests", c.Key, percent(part)))
		r.Commands = append(r.Commands, Command{"keep it out for a while (undo: unban)", f.command("ban " + Word(c.Key) + " --for 30m --reason 'slow requests'")})
	}
	r.Commands = append(r.Commands, f.lowerConnections()...)
	return []Finding{r}
}

func (f *facts) anyPort() string {
	for _, p := range f.places() {
		if i := strings.LastIndexByte(p.address, ':'); i >= 0 {
			return p.address[i+1:]
		}
	}
	return "8080"
}

// The signs of one client that attacks: its part of all requests, how many there are, and the
// part of them that limits turn away.
const (
	attackShare    = 0.5
	attackRequests = 100
	attackLimited  = 0.2
)

// judgeAttack says that one client is behind it. A load balancer in front that isn't named among
// trusted-proxies looks like one client that sends everything, so there must be others.
func judgeAttack(f *facts) []Finding {
	t := f.running.minute
	c, part := frequent(t)
	if part < attackShare || t.requests < attackRequests || len(t.clients) < 2 {
		return nil
	}
	var limited uint64
	var evidence []string
	for _, k := range []fault.Kind{fault.RateLimited, fault.ChallengeFailed, fault.ClientConnectionLimit, fault.StreamResets, fault.FrameFlood, fault.HeaderFlood, fault.ProtocolViolation, fault.ConnectionLimit, fault.MemoryLimit, fault.QueueFull, fault.RequestLimit, fault.BadRequest, fault.NoRoute} {
		if n := f.faultCount(k); n > 0 {
			limited += n
			evidence = append(evidence, fmt.Sprintf("%d requests of the last minute: %s (%s)", n, k.String(), k.Row().Code))
		}
	}
	if f.share(limited) < attackLimited {
		return nil
	}
	return []Finding{{
		Code: "attack-one-client", What: fmt.Sprintf("one client, %s, sends %s of all requests and runs into limits", c.Key, percent(part)),
		Evidence: append([]string{fmt.Sprintf("%d of %d requests of the last minute; the next one has %d", c.Count, t.requests, t.clients[1].Count)}, evidence...),
		Commands: []Command{
			{"keep it out for half an hour (undo: unban)", f.command("ban " + Word(c.Key) + " --for 30m --reason flood")},
			{"see what it asks for", f.command("top paths")},
			{"if it comes back by other addresses, ask browsers for work first (undo: emergency revert)", f.command("emergency challenge enabled --threshold 100 --reason flood")},
			{"see that it ends", f.command("top clients --window 10s")},
		},
		weight: part,
	}}
}
