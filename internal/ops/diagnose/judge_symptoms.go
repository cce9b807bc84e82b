package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/fault"
)

// judgeEndpoints says what /health and /ready tell.
func judgeEndpoints(f *facts) []Finding {
	if !f.up() {
		return nil
	}
	var out []Finding
	if f.running.err == nil && f.running.status.State == admin.StateDraining {
		out = append(out, Finding{
			Code: "process-draining", What: "sentinel is shutting down: it finishes what it has and takes nothing new",
			Evidence: []string{fmt.Sprintf("process %d, %d connections left", f.process.PID, f.running.status.Connections)},
			Commands: []Command{f.startCommand("start it again"), {"who stopped it", "journalctl -u sentinel -n 20 --no-pager"}},
		})
	}
	var dead []string
	for _, e := range f.health {
		if e.err != nil || e.status >= 500 {
			dead = append(dead, fmt.Sprintf("%s of listener %s: %s", e.url, e.listener, answer(&e)))
		}
	}
	if len(dead) > 0 {
		r := Finding{
			Code: "health-unanswered", What: fmt.Sprintf("/health isn't answered at %d of %d listeners", len(dead), len(f.health)), Evidence: first(dead, linesShown),
			Commands: []Command{{"try it by hand", "curl -svk -m 3 " + f.health[0].url}, {"which sockets are open", "ss -ltnp"}, {"where it stands still", "kill -QUIT " + fmt.Sprint(f.process.PID) + " # ends it, with a trace in the log"}},
		}
		if len(dead) < len(f.health) {
			r.Severity = SEV2
		}
		out = append(out, r)
	}
	return append(out, judgeReady(f)...)
}

func answer(e *endpoint) string {
	if e.err != nil {
		text := e.err.Error()
		if i := strings.LastIndex(text, ": "); i >= 0 {
			text = text[i+2:]
		}
		return text
	}
	return fmt.Sprintf("status %d", e.status)
}

func judgeReady(f *facts) []Finding {
	var reasons []string
	for _, e := range f.ready {
		if e.status == 503 {
			reasons = append(reasons, e.reasons...)
		}
	}
	if len(f.ready) == 0 && f.running.err == nil {
		reasons = f.running.status.Reasons
	}
	slices.Sort(reasons)
	reasons = slices.Compact(reasons)
	if len(reasons) == 0 {
		return nil
	}
	r := Finding{
		Code: "not-ready", What: "sentinel says that it isn't ready: " + strings.Join(reasons, "; "), Evidence: []string{"/ready answers 503"},
		Commands: []Command{{"how its upstreams do", f.command("upstreams")}},
	}
	starting := true
	for _, why := range reasons {
		starting = starting && strings.Contains(why, "still out")
		if strings.Contains(why, "no upstream has a usable target") {
			r.Severity = SEV1
		}
		if strings.Contains(why, "still out") {
			r.Evidence = append(r.Evidence, "checks have begun and not yet ended: ask again in some seconds")
		}
	}
	if starting {
		r.Severity = SEV4
	}
	return []Finding{r}
}

// routeRate is the traffic of a route over the last minute.
type routeRate struct {
	name             string
	requests, errors float64
}

// noRoute is the label of requests without a route: bounds and bans turn these away, which have
// findings of their own.
const noRoute = "-"

// rates returns the traffic of each route, from the process or from two looks at its metrics.
func (f *facts) rates() (all []routeRate, requests, errors float64) {
	if f.running.err == nil {
		for _, r := range f.running.series.Routes {
			if r.Name == noRoute {
				continue
			}
			rate := routeRate{name: r.Name}
			for i, p := range r.Points {
				if f.running.series.Moments[i].At.After(f.now.Add(-minute)) {
					rate.requests, rate.errors = rate.requests+float64(p.Requests), rate.errors+float64(p.Errors)
				}
			}
			all = append(all, rate)
		}
	} else {
		byName := make(map[string]*routeRate)
		for series, d := range f.grown("sentinel_requests_total") {
			name := label(series, "route")
			if name == noRoute {
				continue
			}
			if byName[name] == nil {
				byName[name] = &routeRate{name: name}
			}
			byName[name].requests += d
			if label(series, "status") == "5xx" {
				byName[name].errors += d
			}
		}
		for _, r := range byName {
			all = append(all, *r)
		}
	}
	slices.SortFunc(all, func(a, b routeRate) int {
		if a.errors != b.errors {
			return int(b.errors*1000 - a.errors*1000)
		}
		return strings.Compare(a.name, b.name)
	})
	for _, r := range all {
		requests, errors = requests+r.requests, errors+r.errors
	}
	return all, requests, errors
}

// judgeErrors says which routes fail, what the proxy's own faults are, and what the applications
// answer by themselves.
func judgeErrors(f *facts) []Finding {
	var out []Finding
	if n := f.faultCount(fault.Internal); n > 0 {
		out = append(out, Finding{
			Code: "internal-errors", Severity: max(SEV3, byShare(f.share(n))), What: fmt.Sprintf("%d requests of the last minute failed by a fault of the proxy itself", n),
			Evidence: slices.Clone(f.errors),
			Commands: []Command{{"the traces", "journalctl -u sentinel --since -10m | grep -A20 'fault of the proxy itself'"}, {"if it goes on", "systemctl restart sentinel"}},
		})
	}
	all, requests, errors := f.rates()
	if errors < countLeast || errors < 0.01*requests {
		return out
	}
	rate := errors / requests
	r := Finding{
		Code: "error-rate", Severity: byShare(rate), What: fmt.Sprintf("%s of all requests fail with 5xx", percent(rate)),
		Commands: []Command{{"faults of the last minute", f.command("top faults")}, {"by route", f.command("status")}},
	}
	for _, route := range all {
		if route.errors > 0 {
			r.Evidence = append(r.Evidence, fmt.Sprintf("route %s: %s of its requests", route.name, percent(route.errors/max(route.requests, 1e-9))))
		}
	}
	r.Evidence = append(first(r.Evidence, linesShown), f.onset()...)
	if len(f.running.minute.faults) > 0 {
		r.Evidence = append(r.Evidence, "faults of the last minute: "+faultList(f.running.minute))
	}
	out = append(out, r)
	return append(out, judgeApplications(f)...)
}

// onset says when errors began, as far as the last hour tells, and what was changed just before.
func (f *facts) onset() []string {
	all := f.steps()
	began := len(all)
	for i := len(all) - 1; i >= 0; i-- {
		if s := &all[i]; s.errors*100 >= s.requests && s.errors > 0 {
			began = i
		} else if s.requests > 0 {
			break
		}
	}
	if began == len(all) {
		return nil
	}
	at := all[began].end.Add(-time.Duration(all[began].seconds * float64(time.Second)))
	out := []string{"errors began after " + clock(at)}
	if began == 0 {
		out[0] = "errors have been there since " + clock(at) + " at least"
	}
	for i := range f.running.events {
		e := &f.running.events[i]
		if changesTraffic(e) && e.Time.After(at.Add(-minute)) && e.Time.Before(all[began].end) {
			out = append(out, "changed then: "+changeText(e))
		}
	}
	return first(out, linesShown)
}

// judgeApplications finds answers with 5xx that no fault of the proxy stands for.
func judgeApplications(f *facts) []Finding {
	own, requests, codes, within := f.ownErrors()
	var routes []string
	var n float64
	for route, d := range own {
		if d >= 1 && len(f.upstreamsOf([]string{route})) > 0 {
			routes, n = append(routes, route), n+d
		}
	}
	if n < countLeast || n < 0.01*requests {
		return nil
	}
	slices.Sort(routes)
	ups := f.upstreamsOf(routes)
	r := Finding{
		Code: "upstream-errors", Severity: byShare(n / requests),
		What:     fmt.Sprintf("upstream %s: the application itself answers 5xx (%s of all requests)", strings.Join(ups, ", "), percent(n/requests)),
		Evidence: []string{fmt.Sprintf("%.0f of %.0f requests within %s, with status %s, on route %s", n, requests, within, strings.Join(sortedKeys(codes), " "), strings.Join(routes, " "))},
		weight:   n,
	}
	for _, u := range ups {
		r.Commands = append(r.Commands, Command{"which of its targets", f.command("upstreams " + Word(u))})
	}
	r.Commands = append(r.Commands, Command{"ask it by hand", "curl -sv -m 5 http://" + Word(f.anyTarget(ups[0])) + "/"})
	return []Finding{r}
}

// ownErrors returns, by route, how many answers with 5xx no fault of the proxy stands for, of how
// many requests in which while, and which codes there are.
func (f *facts) ownErrors() (own map[string]float64, requests float64, codes map[string]bool, within string) {
	own, codes = make(map[string]float64), make(map[string]bool)
	for series, v := range f.after.series {
		if strings.HasPrefix(series, "sentinel_requests_total{") && label(series, "status") == "5xx" && v > 0 {
			codes[label(series, "code")] = true
		}
	}
	if f.running.err == nil {
		rates, all, _ := f.rates()
		for _, r := range rates {
			own[r.name] = r.errors
		}
		for _, x := range f.running.series.Faults {
			if k, ok := fault.Parse(x.Fault); ok && k.Status() >= 500 {
				for i, n := range x.Points {
					if f.running.series.Moments[i].At.After(f.now.Add(-minute)) {
						own[x.Route] -= float64(n)
					}
				}
			}
		}
		return own, all, codes, "a minute"
	}
	for series, d := range f.grown("sentinel_requests_total") {
		requests += d
		if label(series, "status") == "5xx" {
			own[label(series, "route")] += d
		}
	}
	for series, d := range f.grown("sentinel_faults_total") {
		if k, ok := fault.Parse(label(series, "fault")); ok && k.Status() >= 500 {
			own[label(series, "route")] -= d
		}
	}
	return own, requests, codes, "a second"
}

// wellness says in one line that nothing is wrong.
func (f *facts) wellness() string {
	if f.running.err != nil {
		return fmt.Sprintf("nothing wrong was seen: process %d answers", f.process.PID)
	}
	usable, all := 0, 0
	for i := range f.running.upstreams {
		usable += f.running.upstreams[i].Usable()
		all += len(f.running.upstreams[i].Targets)
	}
	t := f.running.minute
	return fmt.Sprintf("process %d serves generation %d; %d of %d targets take requests; %d requests in the last minute, %d failed",
		f.process.PID, f.running.status.Generation, usable, all, t.requests, failures(t))
}
