package diagnose

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/event"
)

// linesShown is how many lines of one kind a finding has.
const linesShown = 5

// judgeConfig says what is wrong with the file on disk.
func judgeConfig(f *facts) []Finding {
	p := f.conf.problem
	if p == nil {
		return nil
	}
	r := Finding{Code: "config-invalid", What: "the configuration on disk is broken", Evidence: first(p.Lines, linesShown)}
	if len(p.Lines) > 0 {
		r.What += ": " + clip(p.Lines[0], 160)
	}
	r.Evidence = append(r.Evidence, "a restart would fail: "+p.Kind)
	if !f.up() {
		r.Severity, r.What = SEV1, "sentinel can't start: "+strings.TrimPrefix(r.What, "the ")
		r.Evidence = append(r.Evidence, f.deathEvidence()...)
	}
	r.Commands = append([]Command{{"all that is wrong with it", f.opt.Prefix + " --validate --config " + Word(f.opt.ConfigFile)}}, f.restore()...)
	return []Finding{r}
}

// restore returns the commands that bring back the text that served last.
func (f *facts) restore() []Command {
	if f.up() {
		return []Command{{"put what serves back into the files (the broken text is kept: sentinel config history)", f.command("rollback --serving")}}
	}
	path := f.opt.ConfigFile
	var out []Command
	if _, err := os.Stat(path + ".backup"); err == nil {
		out = append(out, Command{"keep the broken one", "cp " + Word(path) + " " + Word(path+".broken")},
			Command{"bring back the last one that served", "cp " + Word(path+".backup") + " " + Word(path)})
	} else if _, err := os.Stat(f.cfg.System.StateDir.V + "/config"); err == nil {
		out = append(out, Command{"bring back the last one that served", f.command("rollback")})
	}
	return append(out, f.startCommand("start it"))
}

// judgeReload says that the last reload failed, or that the file isn't what serves.
func judgeReload(f *facts) []Finding {
	if !f.up() {
		return nil
	}
	last := f.running.status.LastReload
	failed := last != nil && !last.OK
	if f.running.err != nil {
		v, known := f.after.series["sentinel_config_reload_last_successful"]
		failed = known && v == 0
	}
	if failed && f.conf.problem == nil && f.conf.compared && len(f.conf.diff) == 0 {
		failed = false // the files are again what serves
	}
	switch {
	case failed:
		r := Finding{Code: "reload-failed", What: "the last reload failed: what served before goes on serving"}
		if last != nil {
			r.What = fmt.Sprintf("the last reload failed %s ago: %s", ago(f.now.Sub(last.At)), last.Error)
			r.Evidence = first(last.Details, linesShown)
			r.Evidence = append(r.Evidence, fmt.Sprintf("generation %d goes on serving", last.Generation))
		}
		if f.conf.problem == nil {
			r.Evidence = append(r.Evidence, "the file on disk is valid now: it has only to be loaded")
			r.Commands = []Command{{"load it", f.command("reload")}}
		} else {
			r.Commands = append([]Command{{"what is wrong", f.opt.Prefix + " --validate --config " + Word(f.opt.ConfigFile)}}, f.restore()...)
		}
		return []Finding{r}
	case len(f.conf.diff) > 0:
		return []Finding{{
			Code: "config-not-loaded", What: fmt.Sprintf("the configuration on disk, changed %s ago, isn't what serves", ago(f.now.Sub(f.conf.changed))),
			Evidence: first(f.conf.diff, linesShown),
			Commands: []Command{{"make it serve", f.command("reload")}},
		}}
	}
	return nil
}

// judgeDeviation says that something stands in for what was asked for.
func judgeDeviation(f *facts) []Finding {
	d := f.running.status.Deviation
	if d == nil {
		return nil
	}
	r := Finding{
		Code: "config-deviates", What: "entry " + fmt.Sprint(d.Entry) + " of the history serves instead of what was asked for last: " + d.Why,
		Evidence: append([]string{"since " + clock(d.At) + ": " + d.Cause}, first(d.Details, linesShown)...),
		Commands: []Command{{"what serves, what the files hold, what was before", f.command("config history")}, {"put what serves into the files", f.command("rollback --serving")}},
	}
	if d.Cause != admin.DeviationFallback {
		r.Commands = append(r.Commands, Command{"or have it serve once it is mended", f.command("reload")})
	}
	return []Finding{r}
}

// failures counts the requests that failed on the side of the proxy or behind it.
func failures(t traffic) (n uint64) {
	for name, count := range t.faults {
		if k, ok := fault.Parse(name); ok && k.Status() >= 500 {
			n += count
		}
	}
	return n
}

// faultList names the faults with their counts, the most frequent first.
func faultList(t traffic) string {
	var names []string
	for name := range t.faults {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if t.faults[a] != t.faults[b] {
			return int(t.faults[b]) - int(t.faults[a])
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", t.faults[name], name)
	}
	return strings.Join(names[:min(len(names), linesShown)], ", ")
}

// byShare is how bad it is when that share of all requests fails.
func byShare(share float64) Severity {
	switch {
	case share >= 0.9:
		return SEV1
	case share >= 0.1:
		return SEV2
	case share >= 0.01:
		return SEV3
	}
	return SEV4
}

// judgeDrained says that operators have left an upstream without targets.
func judgeDrained(f *facts) []Finding {
	var out []Finding
	for i := range f.running.upstreams {
		u := &f.running.upstreams[i]
		var drained []admin.TargetStatus
		for _, t := range u.Targets {
			if t.State == admin.TargetDrained || t.State == admin.TargetDraining {
				drained = append(drained, t)
			}
		}
		if u.Usable() > 0 || len(drained) == 0 && !u.Drained {
			continue
		}
		r := Finding{
			Code: "upstream-drained", Severity: f.impact(u.Name),
			What: fmt.Sprintf("upstream %s takes nothing: somebody has drained %d of its %d targets", u.Name, len(drained), len(u.Targets)),
		}
		if u.Drained {
			r.What = fmt.Sprintf("upstream %s takes nothing: somebody has drained it", u.Name)
			r.Commands = append(r.Commands, Command{"let it take requests again", f.command("drain " + Word(u.Name) + " --undo")})
		}
		for _, t := range drained {
			line := t.Address + " is " + t.State
			if t.Cause != "" {
				line += ": " + t.Cause
			}
			r.Evidence = append(r.Evidence, line)
			if !u.Drained {
				r.Commands = append(r.Commands, Command{"let it take requests again", f.command("drain " + Word(u.Name+"/"+t.Address) + " --undo")})
			}
		}
		for _, e := range f.running.events {
			if e.Kind == event.KindDrain && e.Upstream == u.Name && e.Worse {
				r.Evidence = append(r.Evidence, fmt.Sprintf("%s %s: %s, %s", clock(e.Time), e.Message(), e.Cause, e.Detail))
			}
		}
		r.Evidence = first(r.Evidence, 2*linesShown)
		out = append(out, r)
	}
	return out
}

// judgeOverrides says what emergency changes cost.
func judgeOverrides(f *facts) []Finding {
	var out []Finding
	for _, o := range f.running.overrides {
		if o.Idle != "" || o.Kind != admin.OverrideDisable {
			continue
		}
		n := f.faultCount(fault.RouteDisabled)
		r := Finding{
			Code: "route-disabled", Severity: min(byShare(f.share(n)), SEV2), What: fmt.Sprintf("route %s is disabled by an emergency change: %d requests of the last minute were refused for it", o.Route, n),
			Evidence: []string{
				fmt.Sprintf("by %s %s ago, reason %q; it ends by itself at %s", o.By, ago(f.now.Sub(o.Since)), o.Reason, clock(o.Until)),
				fmt.Sprintf("that is %s of all requests (%s)", percent(f.share(n)), fault.RouteDisabled.Row().Code),
			},
			Commands: []Command{{"end it", f.command(fmt.Sprintf("emergency revert %d", o.ID))}, {"all emergency changes", f.command("emergency list")}},
		}
		out = append(out, r)
	}
	return out
}

// The lengths of prefixes from which on a ban is a wide one.
const wideV4, wideV6 = 16, 32

// hitsLeast is how often clients must have run into a ban before it counts.
const hitsLeast = 3

// judgeBans says that a ban hits more than an attacker.
func judgeBans(f *facts) []Finding {
	var out []Finding
	for i, b := range f.running.bans {
		prefix, err := netip.ParsePrefix(b.Prefix)
		if err != nil {
			continue
		}
		why := f.important(prefix)
		if why == "" || b.Hits < hitsLeast {
			continue
		}
		r := Finding{
			Code: "ban-important", What: fmt.Sprintf("a ban keeps out %s: %s; it was hit %d times", b.Prefix, why, b.Hits),
			Evidence: []string{fmt.Sprintf("banned by %s %s ago, reason %q", b.By, ago(f.now.Sub(b.Since)), b.Reason)},
			Commands: []Command{{"lift it", f.command("unban " + Word(b.Prefix))}, {"all bans", f.command("bans")}},
			weight:   float64(b.Hits),
		}
		if i < len(f.running.bansLater) && f.running.bansLater[i].Prefix == b.Prefix {
			more := f.running.bansLater[i].Hits - b.Hits
			r.Evidence = append(r.Evidence, fmt.Sprintf("%d more hits within a second", more))
			if perMinute := float64(more) * 60; perMinute > 0 && perMinute > float64(f.running.minute.requests)/10 {
				r.Severity = SEV2
			}
		}
		if b.Until.IsZero() {
			r.Evidence = append(r.Evidence, "it doesn't end by itself")
		} else {
			r.Evidence = append(r.Evidence, "it ends by itself at "+clock(b.Until))
		}
		out = append(out, r)
	}
	return out
}

// important says why a prefix should not be banned; "" when it may be.
func (f *facts) important(p netip.Prefix) string {
	for _, t := range f.cfg.System.TrustedProxies {
		if p.Overlaps(t.V) {
			return "it holds the trusted proxy " + t.V.String()
		}
	}
	if p.Overlaps(netip.MustParsePrefix("127.0.0.0/8")) || p.Overlaps(netip.MustParsePrefix("::1/128")) {
		return "it holds the loopback, from where health is asked"
	}
	if p.Addr().Is4() && p.Bits() <= wideV4 || p.Addr().Is6() && p.Bits() <= wideV6 {
		return "it is wide"
	}
	return ""
}

// changesMax is how many changes are shown.
const changesMax = 10

// changes lists what operators and the process have changed in the last hour, the newest first.
func (f *facts) changes() []string {
	var out []string
	if c := f.running.status.Confirmation; c != nil {
		out = append(out, "what serves is taken back at "+clock(c.Until)+" unless it is confirmed: "+f.command("confirm"))
	}
	for i := len(f.running.events) - 1; i >= 0 && len(out) < changesMax; i-- {
		e := &f.running.events[i]
		if f.now.Sub(e.Time) > time.Hour {
			break
		}
		if changesTraffic(e) {
			out = append(out, changeText(e))
		}
	}
	return append([]string{}, out...)
}

// changesTraffic reports whether an event is something that somebody did, or that the process
// went through, and no state of an upstream.
func changesTraffic(e *event.Event) bool {
	switch e.Kind {
	case event.KindReload, event.KindDrain, event.KindBan, event.KindCertificate, event.KindProcess, event.KindListener, event.KindOverride, event.KindUpgrade, event.KindConfig:
		return true
	}
	return false
}

func changeText(e *event.Event) string {
	s := clock(e.Time) + " " + e.Message()
	for _, part := range []string{e.Upstream, e.Target, e.Client, e.Certificate} {
		if part != "" {
			s += " " + part
		}
	}
	if e.To != "" && e.Kind == event.KindReload {
		s += ", " + e.To
	}
	if e.Cause != "" {
		s += " (" + clip(e.Cause, 60) + ")"
	}
	return s
}
