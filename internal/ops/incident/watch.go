package incident

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

const (
	// lookEvery is how often the proxy is looked at.
	lookEvery = 5 * time.Second
	// sev1Looks and sev2Looks are how many looks in a row have to be that bad.
	sev1Looks = 2
	sev2Looks = 6
	// goodLooks is how many good looks in a row mean that requests are served again.
	goodLooks = 6
	// endAfter is how long all has to be well before an incident that nobody has touched ends.
	endAfter = 30 * time.Minute
	// snapshotEvery is how often at most the watch takes one of the same incident.
	snapshotEvery = 10 * time.Minute
	// requestsMin is how many requests between two looks say something.
	requestsMin = 20
	// sev1Share and sev2Share are the shares of failed requests above which an incident is one.
	sev1Share = 0.9
	sev2Share = 0.1
	// itself is who opens incidents by itself.
	itself = "sentinel"
)

// Look is what the watch sees at a moment.
type Look struct {
	Counts    Counts
	Upstreams int // that have targets
	Down      int // of those, with no target that takes requests and not because it is drained
}

// LookOf makes a Look of what the proxy says.
func LookOf(s *admin.Status, upstreams []admin.UpstreamStatus, at time.Time) Look {
	l := Look{Counts: CountsOf(s, at)}
	for i := range upstreams {
		u := &upstreams[i]
		if len(u.Targets) == 0 || u.Drained {
			continue
		}
		l.Upstreams++
		if u.Usable() == 0 {
			l.Down++
		}
	}
	return l
}

// Judge says how bad it is between two looks, and why; zero is well enough.
func Judge(before, now Look) (Severity, string) {
	requests, failed := (&Record{Counts: []Counts{before.Counts, now.Counts}}).Affected()
	rate := float64(failed) / float64(max(1, requests))
	switch {
	case now.Upstreams > 0 && now.Down == now.Upstreams:
		return SEV1, "no upstream has a target that takes requests"
	case requests < requestsMin:
		return 0, ""
	case rate >= sev1Share:
		return SEV1, fmt.Sprintf("%.0f %% of requests fail", 100*rate)
	case rate > sev2Share:
		return SEV2, fmt.Sprintf("%.0f %% of requests fail", 100*rate)
	}
	return 0, ""
}

// Watch opens incidents of SEV1 and SEV2 by itself, takes snapshots of them, and ends those
// that nobody has touched.
type Watch struct {
	Store *Store
	// Look looks at the proxy.
	Look func(ctx context.Context) (Look, error)
	// From is where snapshots come from.
	From func() *From
	// Record is told of what the watch does.
	Record func(event.Event)
	// Keep is how many ended incidents of its own the watch leaves there.
	Keep int

	before    Look
	bad, good int       // looks in a row
	since     time.Time // of the first of them
	last      time.Time // of the last snapshot
	failed    string    // the last problem that was told
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.look(ctx)
		}
	}
}

func (w *Watch) look(ctx context.Context) {
	now, err := w.Look(ctx)
	if err != nil {
		return // it starts or stops
	}
	before := w.before
	w.before = now
	if before.Counts.At.IsZero() {
		return
	}
	severity, cause := Judge(before, now)
	if severity == 0 {
		w.bad = 0
		if w.good++; w.good == 1 {
			w.since = before.Counts.At
		}
		if w.good >= goodLooks {
			w.tell(w.fine())
		}
		return
	}
	w.good = 0
	if w.bad++; w.bad == 1 {
		w.since = before.Counts.At
	}
	if severity == SEV1 && w.bad >= sev1Looks || w.bad >= sev2Looks {
		w.tell(w.open(ctx, severity, cause, before.Counts))
	}
}

// open opens an incident, or adds to the one that is open.
func (w *Watch) open(ctx context.Context, severity Severity, cause string, before Counts) error {
	r, err := w.Store.Find("")
	if errors.Is(err, ErrNone) {
		r, err = w.create(severity, cause, before)
	}
	if err != nil {
		return err
	}
	if severity < r.Severity {
		if err := w.raise(r.ID, severity, cause); err != nil {
			return err
		}
	}
	if time.Since(w.last) < snapshotEvery {
		return nil
	}
	w.last = time.Now()
	_, _, err = w.Store.Snapshot(ctx, r.ID, itself, w.From())
	return err
}

func (w *Watch) create(severity Severity, cause string, before Counts) (*Record, error) {
	r := &Record{Severity: severity, Summary: cause, By: itself, Automatic: true, Started: time.Now().UTC()}
	r.Mark(MarkOnset, w.since)
	r.Mark(MarkDetected, r.Started)
	r.Count(before)
	if err := w.Store.Create(r); err != nil {
		return nil, err
	}
	w.last = time.Time{}
	w.record(event.Event{Worse: true, To: "declared", Cause: cause, Detail: fmt.Sprintf("%s, %s: see 'sentinel incident show'", r.ID, severity)})
	return r, w.clear()
}

func (w *Watch) raise(id string, severity Severity, cause string) error {
	_, err := w.Store.Update(id, func(r *Record) error {
		r.Severity = severity
		return r.AddNote(time.Now().UTC(), itself, "severity raised: "+cause)
	})
	w.last = time.Time{} // what it is like now is worth a snapshot
	w.record(event.Event{Worse: true, To: "raised", Cause: cause, Detail: id + ", " + severity.String()})
	return err
}

// fine notes that requests are served again, and ends an incident of the watch's own once
// that has lasted.
func (w *Watch) fine() error {
	r, err := w.Store.Find("")
	if errors.Is(err, ErrNone) || err == nil && !r.Automatic {
		return nil // none, or a person's
	}
	if err != nil {
		return err
	}
	_, mitigated := r.Marks[MarkMitigated]
	over := time.Since(w.since) >= endAfter
	if mitigated && !over {
		return nil
	}
	_, err = w.Store.Update(r.ID, func(r *Record) error {
		r.Count(w.before.Counts)
		if !mitigated {
			r.Mark(MarkMitigated, w.since)
		}
		if over {
			r.Ended = time.Now().UTC()
			r.Mark(MarkResolved, w.since)
		}
		return nil
	})
	if err != nil || !over {
		return err
	}
	w.record(event.Event{To: "ended", Cause: "all has been well for " + lasted(endAfter), Detail: r.ID})
	_, err = w.Store.PostMortem(r.ID)
	return err
}

// clear removes the oldest ended incidents that the watch opened and nobody has written to.
func (w *Watch) clear() error {
	all, err := w.Store.List()
	var own []*Record
	for _, r := range all {
		if r.Automatic && !r.Open() && !touched(r) {
			own = append(own, r)
		}
	}
	for _, r := range own[:max(0, len(own)-w.Keep)] {
		err = errors.Join(err, os.RemoveAll(w.Store.Path(r.ID)), removeIfThere(w.Store.Path(r.ID+".tar.gz")))
	}
	return err
}

// touched reports whether a person has written to an incident.
func touched(r *Record) bool {
	for _, n := range r.Notes {
		if n.By != itself {
			return true
		}
	}
	return false
}

func removeIfThere(path string) error {
	if !exists(path) {
		return nil
	}
	return os.Remove(path)
}

func (w *Watch) record(e event.Event) {
	e.Kind = event.KindIncident
	w.Record(e)
}

// tell tells once of a problem that lasts.
func (w *Watch) tell(err error) {
	text := ""
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if text != "" && text != w.failed {
		w.record(event.Event{Worse: true, To: "not kept", Cause: text})
	}
	w.failed = text
}
