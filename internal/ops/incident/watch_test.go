package incident

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/observe/event"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name             string
		requests, errors uint64
		upstreams, down  int
		want             Severity
	}{
		{"well", 1000, 10, 2, 0, 0},
		{"a tenth fails", 1000, 100, 2, 0, 0},
		{"more than a tenth fails", 1000, 101, 2, 0, SEV2},
		{"nearly all fail", 1000, 900, 2, 1, SEV1},
		{"too few to say", requestsMin - 1, requestsMin - 1, 2, 1, 0},
		{"nothing is usable, nobody asks", 0, 0, 2, 2, SEV1},
		{"one upstream is down", 1000, 50, 2, 1, 0},
		{"no upstream at all", 1000, 0, 0, 0, 0},
	} {
		got, _ := Judge(Look{}, Look{Counts{Requests: c.requests, Errors: c.errors}, c.upstreams, c.down})
		if got != c.want {
			t.Errorf("%s: Judge = %v, want %v", c.name, got, c.want)
		}
	}
}

// watched is a proxy that is watched in fake time.
type watched struct {
	*Watch
	share  uint64 // errors of a hundred requests at each look
	now    Look
	events []string
}

func watchOne(t *testing.T, ctx context.Context) *watched {
	w := &watched{}
	from := fromNowhere(t)
	w.Watch = &Watch{
		Store: &Store{Folder: filepath.Join(t.TempDir(), "incidents")}, Keep: 1, From: func() *From { return from },
		Record: func(e event.Event) { w.events = append(w.events, e.To) },
		Look: func(context.Context) (Look, error) {
			w.now.Counts = Counts{At: time.Now(), Process: noon, Requests: w.now.Counts.Requests + 100, Errors: w.now.Counts.Errors + w.share}
			w.now.Upstreams = 1
			return w.now, nil
		},
	}
	go w.Run(ctx)
	return w
}

// pass lets time pass, and what is done in it.
func (w *watched) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchOne(t, t.Context())
		w.pass(time.Minute)
		w.share = 50
		w.pass((sev2Looks - 1) * lookEvery)
		if _, err := w.Store.Find(""); err == nil {
			t.Error("declared too early")
		}
		w.pass(2 * lookEvery)
		r, err := w.Store.Find("")
		if err != nil || r.Severity != SEV2 || !r.Automatic || len(r.Snapshots) != 1 {
			t.Fatalf("the incident is %+v, %v, want SEV2 with a snapshot", r, err)
		}
		w.pass(time.Minute)
		if r, _ = w.Store.Find(""); len(r.Snapshots) != 1 {
			t.Errorf("%d snapshots within %v, want one", len(r.Snapshots), snapshotEvery)
		}
		w.share = 99
		w.pass(3 * lookEvery)
		if r, _ = w.Store.Find(""); r.Severity != SEV1 || len(r.Snapshots) != 2 {
			t.Errorf("%v with %d snapshots, want SEV1 and one more", r.Severity, len(r.Snapshots))
		}
		w.share = 0
		w.pass(goodLooks*lookEvery + time.Minute)
		if r, _ = w.Store.Find(""); r.Marks[MarkMitigated].IsZero() {
			t.Error("not mitigated when all is well")
		}
		w.pass(endAfter + time.Minute)
		if r, err = w.Store.Last(); err != nil || r.Open() || !exists(w.Store.Path(r.ID, postMortemName)) {
			t.Errorf("the incident is %+v, %v, want it ended with a post-mortem", r, err)
		}
		if got := strings.Join(w.events, " "); got != "declared raised ended" {
			t.Errorf("events %q, want declared raised ended", got)
		}
	})
}

func TestWatchKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchOne(t, t.Context())
		for range 4 {
			w.share = 95
			w.pass(time.Minute)
			w.share = 0
			w.pass(endAfter + 2*time.Minute)
			if all, _ := w.Store.List(); len(all) == 1 { // the first one gets a note of a person
				w.Store.Update(all[0].ID, func(r *Record) error { return r.AddNote(noon, "alice", "mine") })
			}
		}
		all, err := w.Store.List()
		// Those that were there when the last one began: a person's and the newest.
		if err != nil || len(all) != 3 || len(all[0].Notes) == 0 {
			t.Errorf("%d incidents are left, %v, want 3: alice's, the kept one and the last", len(all), err)
		}
	})
}

func TestWatchLeavesAPersonsIncidentOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchOne(t, t.Context())
		if err := w.Store.Create(&Record{Severity: SEV3, By: "alice", Started: time.Now()}); err != nil {
			t.Fatal(err)
		}
		w.share = 95
		w.pass(time.Minute)
		w.share = 0
		w.pass(2 * endAfter)
		all, _ := w.Store.List()
		if len(all) != 1 || !all[0].Open() || all[0].Severity != SEV1 || len(all[0].Snapshots) != 1 {
			t.Errorf("incidents %+v, want alice's alone, open, raised to SEV1, with a snapshot", all)
		}
	})
}

func TestWatchTellsOnceThatItCantKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchOne(t, t.Context())
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.Store.Folder = filepath.Join(file, "incidents") // a file is no folder
		w.share = 95
		w.pass(5 * time.Minute)
		if got := strings.Join(w.events, " "); got != "not kept" {
			t.Errorf("events %q, want one that says so", got)
		}
	})
}
