package diagnose

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sentinel/internal/config/schema"
)

// What a comparison of before and after a reload rests on: how much there must be, by how much
// the share of failures must grow, and how long the times are that are compared.
const (
	regressionRequests = 10
	regressionErrors   = 5
	regressionFactor   = 5
	regressionBefore   = 5 * time.Minute
	regressionAfter    = 2 * time.Minute
)

// step is what happened in one step of the series, on all routes.
type step struct {
	end              time.Time
	seconds          float64
	requests, errors uint64
}

// steps sums up the routes of the series.
func (f *facts) steps() []step {
	w := &f.running.series
	all := make([]step, len(w.Moments))
	for i, m := range w.Moments {
		all[i] = step{end: m.At, seconds: m.Seconds}
		for j := range w.Routes {
			if i < len(w.Routes[j].Points) {
				all[i].requests += w.Routes[j].Points[i].Requests
				all[i].errors += w.Routes[j].Points[i].Errors
			}
		}
	}
	return all
}

// sumOf adds up the steps that end after from and not after to.
func sumOf(all []step, from, to time.Time) (requests, errors uint64) {
	for _, s := range all {
		if s.end.After(from) && !s.end.After(to) {
			requests, errors = requests+s.requests, errors+s.errors
		}
	}
	return requests, errors
}

// judgeRegression says that errors began with the last reload. The step in which that was counts
// as after it, which makes little of them.
func judgeRegression(f *facts) []Finding {
	at := f.lastReload()
	all := f.steps()
	if at.IsZero() || len(all) == 0 {
		return nil
	}
	until := at.Add(regressionAfter)
	if end := all[len(all)-1].end; end.Before(until) {
		until = end
	}
	before, failedBefore := sumOf(all, at.Add(-regressionBefore), at)
	after, failedAfter := sumOf(all, at, until)
	last, failedLast := sumOf(all, all[len(all)-1].end.Add(-minute), all[len(all)-1].end)
	if before < regressionRequests || after < regressionRequests || failedAfter < regressionErrors || last == 0 {
		return nil
	}
	then, now, still := float64(failedBefore)/float64(before), float64(failedAfter)/float64(after), float64(failedLast)/float64(last)
	if now < 0.01 || still < 0.01 || now < regressionFactor*then {
		return nil
	}
	found := Finding{
		Code: "reload-regression", Severity: byShare(still),
		What: fmt.Sprintf("errors began with the reload at %s: %s of requests failed before it, %s of those around and after it", clock(at), percent(then), percent(now)),
		Evidence: []string{
			fmt.Sprintf("in the five minutes before it %d of %d requests failed; since, %d of %d", failedBefore, before, failedAfter, after),
			"faults of the last minute: " + faultList(f.running.minute),
		},
		Commands: []Command{
			{"what going back would change", f.command("rollback --dry-run")},
			{"bring back the configuration before it", f.command("rollback")},
			{"see errors end", f.command("errors --since 1m")},
		},
	}
	found.Evidence = append(found.Evidence, first(f.changedBy(), linesShown)...)
	return []Finding{found}
}

// changedBy returns what the last reload has changed, by the history of configurations.
func (f *facts) changedBy() (changed []string) {
	folders, _ := filepath.Glob(filepath.Join(f.cfg.System.StateDir.V, "config", "[0-9]*[0-9]"))
	slices.Sort(folders)
	if len(folders) < 2 {
		return nil
	}
	name := filepath.Base(f.opt.ConfigFile)
	old, _, bad := schema.Load(filepath.Join(folders[len(folders)-2], name), schema.Options{})
	now, _, worse := schema.Load(filepath.Join(folders[len(folders)-1], name), schema.Options{})
	if bad.HasErrors() || worse.HasErrors() {
		return nil
	}
	for _, line := range schema.Diff(old, now) {
		changed = append(changed, "changed: "+line)
	}
	return changed
}
