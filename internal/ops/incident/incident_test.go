package incident

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestCreateGivesEachItsNumber(t *testing.T) {
	s := &Store{Folder: filepath.Join(t.TempDir(), "incidents")}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Create(&Record{Severity: SEV2, By: "x", Started: noon}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := s.List()
	var ids []string
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	if err != nil || len(ids) != 8 || ids[0] != "INC-20261124-001" || ids[7] != "INC-20261124-008" {
		t.Errorf("List = %v, %v, want INC-20261124-001 to -008", ids, err)
	}
	if info, _ := os.Stat(s.Path("INC-20261124-001")); info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder = %v, want 0700", info.Mode())
	}
}

func TestFind(t *testing.T) {
	s := &Store{Folder: t.TempDir()}
	if _, err := s.Find(""); !errors.Is(err, ErrNone) {
		t.Errorf("Find without any = %v, want ErrNone", err)
	}
	first, second := &Record{Started: noon}, &Record{Started: noon.Add(time.Hour)}
	for _, r := range []*Record{first, second} {
		if err := s.Create(r); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := s.Find(""); err != nil || r.ID != second.ID {
		t.Errorf("Find = %v, %v, want the newest", r, err)
	}
	s.Update(second.ID, func(r *Record) error { r.Ended = noon; return nil })
	if r, err := s.Find(""); err != nil || r.ID != first.ID {
		t.Errorf("Find = %v, %v, want the newest that is open", r, err)
	}
	for _, id := range []string{"../../etc", "INC-1", "INC-20261124-777"} {
		if _, err := s.Find(id); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("Find(%q) = %v, want what is wrong with it", id, err)
		}
	}
	failed := errors.New("no")
	if _, err := s.Update("", func(r *Record) error { r.By = "changed"; return failed }); err != failed {
		t.Errorf("Update = %v, want its change's error", err)
	}
	if r, _ := s.Find(""); r.By == "changed" {
		t.Error("a change that failed was kept")
	}
}

func TestAffected(t *testing.T) {
	one, two := noon, noon.Add(time.Minute) // two processes
	r := &Record{Counts: []Counts{{Process: one, Requests: 100, Errors: 1}, {Process: one, Requests: 200, Errors: 51}, {Process: two, Requests: 30, Errors: 9}}}
	if requests, failed := r.Affected(); requests != 130 || failed != 59 {
		t.Errorf("Affected = %d, %d, want 130, 59: a process that started anew began with zero", requests, failed)
	}
}

func TestCountForgetsTheMiddle(t *testing.T) {
	r := &Record{}
	for i := range 2 * countsMax {
		r.Count(Counts{Process: noon, Requests: uint64(i)})
	}
	if requests, _ := r.Affected(); len(r.Counts) != countsMax || requests != 2*countsMax-1 {
		t.Errorf("%d counts over %d requests, want %d over %d", len(r.Counts), requests, countsMax, 2*countsMax-1)
	}
}

// nothingRuns has every program print its name.
func nothingRuns(_ context.Context, w io.Writer, name string, _ ...string) error {
	_, err := io.WriteString(w, name+"\n")
	return err
}

// fromNowhere is a proxy that is dead and whose configuration lies in dir.
func fromNowhere(t *testing.T) *From {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.kdl":                         `a { password "hunter2" }`,
		"state/config/000001/config.kdl":     `a { password "hunter2" }`,
		"state/config/000001/more/other.kdl": `b 1`,
		"access.log":                         "GET /\n",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return &From{
		Client: admin.NewClient(filepath.Join(dir, "no.sock"), time.Second), ConfigFile: filepath.Join(dir, "config.kdl"),
		StateDir: filepath.Join(dir, "state"), Logs: []string{filepath.Join(dir, "access.log")}, Run: nothingRuns,
	}
}

func TestSnapshotOfADeadProxy(t *testing.T) {
	s := &Store{Folder: t.TempDir()}
	if err := s.Create(&Record{Started: noon}); err != nil {
		t.Fatal(err)
	}
	r, taken, err := s.Snapshot(t.Context(), "", "alice", fromNowhere(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"config.kdl": `a { password "***" }`, "config-history.txt": `password "***"`, "logs/access.log": "GET /",
		"memory.txt": "free", "disk.txt": "df", "connections.txt": "ss", "sentinel.log": "journalctl", "kernel.log": "dmesg",
	} {
		text, err := os.ReadFile(s.Path(r.ID, taken.Folder, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s = %q, %v, want %q in it", name, text, err, want)
		}
	}
	if !slices.ContainsFunc(taken.Failed, func(l string) bool { return strings.HasPrefix(l, "status.json: sentinel isn't running") }) {
		t.Errorf("failed = %q, want the status among them, with the cause", taken.Failed)
	}
	path, err := s.Archive(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if names := archived(t, path); !slices.Contains(names, r.ID+"/snapshot-1/config.kdl") || !slices.Contains(names, r.ID+"/incident.json") {
		t.Errorf("the archive holds %q", names)
	}
}

// archived returns the names in an archive, and fails for one that holds the secret.
func archived(t *testing.T, path string) (names []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil || strings.Contains(string(text), "hunter2") {
			t.Errorf("%s holds the secret, or %v", h.Name, err)
		}
		names = append(names, h.Name)
	}
}

func TestSourceThatIsTooLarge(t *testing.T) {
	dir := t.TempDir()
	parts, err := take(t.Context(), dir, []Source{{"large", func(_ context.Context, w io.Writer) error {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	}}, {"small", func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, "x"); return err }}})
	if err != nil || !parts[0].Cut || parts[0].Bytes != partBytesMax || parts[0].Error != "" || parts[1].Bytes != 1 {
		t.Errorf("take = %+v, %v, want the large one cut at %d", parts, err, partBytesMax)
	}
}

// happened are the events of a target that dies, is drained by hand, and comes back.
func happened() []event.Event {
	return []event.Event{
		{Seq: 1, Time: noon.Add(-time.Hour), Kind: event.KindHealth, Worse: true, To: "unhealthy", Target: "old"},
		{Seq: 2, Time: noon.Add(-4 * time.Minute), Kind: event.KindBreaker, Worse: true, To: "open", Target: "10.0.0.2:80"},
		{Seq: 3, Time: noon.Add(time.Minute), Kind: event.KindDrain, Worse: true, To: "drained", Target: "10.0.0.1:80", Cause: "wrong | one"},
		{Seq: 4, Time: noon.Add(2 * time.Minute), Kind: event.KindHealth, Worse: true, To: "unhealthy", Target: "10.0.0.3:80"},
		{Seq: 5, Time: noon.Add(9 * time.Minute), Kind: event.KindDrain, Worse: true, To: "drained", Target: "10.0.0.2:80"},
		{Seq: 6, Time: noon.Add(20 * time.Minute), Kind: event.KindHealth, To: "healthy", Target: "10.0.0.2:80"},
	}
}

func TestInfer(t *testing.T) {
	r := &Record{Started: noon, Ended: noon.Add(30 * time.Minute)}
	Infer(r, happened())
	for mark, want := range map[string]time.Duration{MarkOnset: -4 * time.Minute, MarkDetected: 0, MarkMitigated: 9 * time.Minute, MarkResolved: 30 * time.Minute} {
		if got := r.Marks[mark].Sub(noon); got != want {
			t.Errorf("%s at noon%+v, want %+v", mark, got, want)
		}
	}
	told := &Record{Started: noon, Marks: map[string]time.Time{MarkMitigated: noon.Add(time.Second)}}
	if Infer(told, happened()); !told.Marks[MarkMitigated].Equal(noon.Add(time.Second)) {
		t.Error("a moment that somebody told was replaced")
	}
}

func TestPostMortem(t *testing.T) {
	s := &Store{Folder: t.TempDir()}
	r := &Record{Severity: SEV1, Summary: "checkout fails", By: "alice", Started: noon, Ended: noon.Add(90 * time.Minute)}
	r.Count(Counts{At: noon, Process: noon})
	r.Count(Counts{At: noon.Add(time.Hour), Process: noon, Requests: 2000, Errors: 500})
	r.AddNote(noon.Add(5*time.Minute), "alice", "it is\nthe database")
	r.Snapshots = []Taken{{At: noon, By: "alice", Folder: "snapshot-1"}}
	if err := s.Create(r); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(happened())
	if err = errors.Join(err, os.Mkdir(s.Path(r.ID, "snapshot-1"), 0o700), os.WriteFile(s.Path(r.ID, "snapshot-1", eventsName), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	path, err := s.PostMortem(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(path)
	for _, want := range []string{
		"- **Duration**: 1 hours 34 minutes", "- **Severity**: SEV1", "25 % of 2000 requests failed",
		"| 2026-11-24 11:56:00 | breaker open, target=\"10.0.0.2:80\"", "alice: it is the database", "wrong   one",
		"- Time to detect: 4 minutes", "- Time to mitigate: 13 minutes", "- Time to resolve: 1 hours 34 minutes",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the post-mortem lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(string(got), "target=\"old\"") {
		t.Error("the timeline holds what was before the incident")
	}
	if second, err := s.PostMortem(r.ID); err != nil || filepath.Base(second) != "postmortem-2.md" {
		t.Errorf("a second one is %s, %v, want postmortem-2.md beside the first", second, err)
	}
}

func TestMessages(t *testing.T) {
	r := &Record{ID: "INC-20261124-001", Severity: SEV1, Service: "Checkout", Summary: "payments fail", Started: noon}
	r.Count(Counts{Process: noon})
	r.Count(Counts{Process: noon, Requests: 1000, Errors: 4})
	r.AddNote(noon, "alice", "failed over")
	for kind, wants := range map[string][]string{
		MessageInitial:  {"[INVESTIGATING] Checkout - payments fail", "Started: 2026-11-24 12:00 UTC", "every 15 minutes", "Next update: 2026-11-24 13:00 UTC", "0.4 % of 1000 requests failed"},
		MessageUpdate:   {"[UPDATE] Checkout - payments fail", "Status: identified", "Duration so far: 45 minutes", "failed over"},
		MessageResolved: {"[RESOLVED] Checkout - payments fail", "Duration: 45 minutes"},
	} {
		got, err := Message(kind, r, noon.Add(45*time.Minute))
		for _, want := range wants {
			if err != nil || !strings.Contains(got, want) {
				t.Errorf("Message(%q) = %v, lacks %q:\n%s", kind, err, want, got)
			}
		}
	}
	if _, err := Message("first", r, noon); err == nil || !strings.Contains(err.Error(), "initial, update, resolved") {
		t.Errorf("Message(first) = %v, want the names there are", err)
	}
}
