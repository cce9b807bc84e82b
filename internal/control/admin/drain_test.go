package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/observe/event"

	"github.com/google/go-cmp/cmp"
)

// fakeUpstreams are upstreams whose drains last until they are undone.
type fakeUpstreams struct {
	mu     sync.Mutex
	list   []UpstreamStatus
	refuse error
	asked  []string
}

func (f *fakeUpstreams) Upstreams() []UpstreamStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.list)
	for i := range out {
		out[i].Targets = slices.Clone(out[i].Targets)
	}
	return out
}

func (f *fakeUpstreams) Drain(q DrainRequest, by Actor) (DrainResult, error) {
	upstream, target, undo, reason := q.Upstream, q.Target, q.Undo, q.Reason
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprintf("%s %s %v %d %s", upstream, target, undo, by.UID, reason))
	if f.refuse != nil {
		return DrainResult{}, f.refuse
	}
	r := DrainResult{Notes: []string{"noted"}}
	for i := range f.list {
		u := &f.list[i]
		switch {
		case u.Name != upstream:
		case target == "":
			r.Changed, r.InProgress = u.Drained == undo, u.InProgress
			u.Drained = !undo
		default:
			for j := range u.Targets {
				if u.Targets[j].Is(target) {
					u.drainTarget(j, undo, &r)
				}
			}
		}
	}
	return r, nil
}

func (u *UpstreamStatus) drainTarget(i int, undo bool, r *DrainResult) {
	t := &u.Targets[i]
	before := t.State
	t.State = TargetDraining
	if undo {
		t.State = TargetHealthy
	}
	r.Changed, r.InProgress = r.Changed || before != t.State, r.InProgress+t.InProgress
}

func twoUpstreams() *fakeUpstreams {
	since := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return &fakeUpstreams{list: []UpstreamStatus{
		{Name: "primary", Balancing: "round_robin", InProgress: 3, Fallback: []string{"backup"}, Targets: []TargetStatus{
			{Address: "10.0.0.1:80", Weight: 1, State: TargetHealthy, Since: since, InProgress: 2, Probe: json.RawMessage(`{"status":200}`)},
			{
				Address: "web.internal:80", Resolved: "10.0.0.2:80", Weight: 1, State: TargetUnhealthy, Cause: "connection refused",
				Breaker: BreakerStatus{State: BreakerOpen, Since: since},
			},
		}},
		{Name: "backup", Targets: []TargetStatus{{Address: "10.0.1.1:80", Weight: 1, State: TargetUnknown}}},
	}}
}

func serveUpstreams(t *testing.T) (*fakeUpstreams, *event.Log, *Client) {
	u, events := twoUpstreams(), event.New(16, slog.New(slog.DiscardHandler))
	path := serveMore(t, &fakeProcess{}, func(s *Server) {
		s.AddUpstreams(u)
		s.AddEvents(events)
	})
	return u, events, NewClient(path, 5*time.Second)
}

func TestUpstreams(t *testing.T) {
	u, _, c := serveUpstreams(t)
	got, err := c.Upstreams(t.Context(), "")
	if diff := cmp.Diff(u.list, got); err != nil || diff != "" {
		t.Errorf("Upstreams() = %v (-want +got):\n%s", err, diff)
	}
	if got, err = c.Upstreams(t.Context(), "backup"); err != nil || len(got) != 1 || got[0].Name != "backup" {
		t.Errorf("Upstreams(backup) = %+v, %v, want that one", got, err)
	}
	if b, err := json.Marshal(u.list[1]); err != nil || strings.Contains(string(b), "since") || strings.Contains(string(b), "breaker") {
		t.Errorf("JSON of a target that knows nothing = %s, %v, want no times and no breaker", b, err)
	}
}

func TestDrain(t *testing.T) {
	u, events, c := serveUpstreams(t)
	me := Actor{UID: os.Getuid(), PID: os.Getpid()}
	for _, q := range []struct {
		DrainRequest
		changed    bool
		inProgress int
		undo       string
		notes      int
		event      string // empty for none
	}{
		{DrainRequest{"primary", "10.0.0.1:80", false, "disk", 0}, true, 2, "sentinel drain primary/10.0.0.1:80 --undo", 2, "WARN target draining, " +
			`upstream="primary", target="10.0.0.1:80", from="serving", to="draining", cause="disk", detail="asked by `},
		{DrainRequest{"primary", "10.0.0.1:80", false, "disk", 0}, false, 2, "sentinel drain primary/10.0.0.1:80 --undo", 1, ""},
		{DrainRequest{"primary", "10.0.0.1:80", true, "", 0}, true, 2, "sentinel drain primary/10.0.0.1:80", 1, "INFO target serving, " +
			`upstream="primary", target="10.0.0.1:80", from="drained", to="serving", cause="no reason given", detail="asked by `},
		{DrainRequest{"backup", "", false, "x", 0}, true, 0, "sentinel drain backup --undo", 2, "WARN upstream drained, " +
			`upstream="backup", from="serving", to="drained", cause="x", detail="asked by `},
		{DrainRequest{"primary", "10.0.0.2:80", false, "", 0}, true, 0, "sentinel drain primary/10.0.0.2:80 --undo", 1, "WARN target drained, "},
	} {
		before := uint64(len(events.Since(0, 0)))
		r, err := c.Drain(t.Context(), q.DrainRequest)
		if err != nil || r.Changed != q.changed || r.Drained == q.DrainRequest.Undo || r.InProgress != q.inProgress || r.Undo != q.undo || len(r.Notes) != q.notes {
			t.Errorf("Drain(%+v) = %+v, %v, want changed %v, %d in progress, undo %q, %d notes", q.DrainRequest, r, err, q.changed, q.inProgress, q.undo, q.notes)
		}
		if r.By.UID != me.UID || r.By.PID != me.PID {
			t.Errorf("Drain(%+v) by %+v, want %+v", q.DrainRequest, r.By, me)
		}
		got := events.Since(before, 0)
		if q.event == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || !strings.Contains(string(got[0].AppendText(nil)), q.event) || !strings.Contains(got[0].Detail, fmt.Sprintf("(uid %d", me.UID)) {
			t.Errorf("Drain(%+v) emits %+v, want %q", q.DrainRequest, got, q.event)
		}
	}
	if want := fmt.Sprintf("primary 10.0.0.1:80 false %d disk", me.UID); u.asked[0] != want {
		t.Errorf("the upstreams were asked %q, want %q", u.asked[0], want)
	}
}

func TestWarningOfNoTargetLeft(t *testing.T) {
	u, _, c := serveUpstreams(t)
	for _, q := range []struct{ name, want string }{
		{"backup", `no target of upstream "backup" takes requests any more: they are answered with 503`},
		{"primary", `no target of upstream "primary" takes requests any more: they go to "backup" where the route says so`},
	} {
		r, err := c.Drain(t.Context(), DrainRequest{Upstream: q.name})
		if err != nil || r.Notes[len(r.Notes)-1] != q.want {
			t.Errorf("Drain(%s) = %+v, %v, want the note %q", q.name, r.Notes, err, q.want)
		}
	}
	u.refuse = errors.New("no state folder")
	var p *Problem
	if _, err := c.Drain(t.Context(), DrainRequest{Upstream: "backup"}); !errors.As(err, &p) || p.Status != http.StatusConflict || p.Message != "no state folder" {
		t.Errorf("Drain that is refused = %v, want the reason", err)
	}
}

func TestProblems(t *testing.T) {
	u, events, c := serveUpstreams(t)
	drain := func(q DrainRequest) func() error {
		return func() error { _, err := c.Drain(t.Context(), q); return err }
	}
	raw := func(method, path string, body any) func() error {
		return func() error { var x any; return c.call(t.Context(), method, path, body, &x) }
	}
	for _, q := range []struct {
		name    string
		ask     func() error
		status  int
		want    string
		nearest string
	}{
		{"upstream", drain(DrainRequest{Upstream: "primry"}), 404, `there is no upstream "primry": the nearest names are "primary", "backup"`, "primary backup"},
		{
			"target", drain(DrainRequest{Upstream: "primary", Target: "web:80"}), 404,
			`there is no target of upstream "primary" named "web:80": the nearest names are "10.0.0.1:80", "web.internal:80"`, "10.0.0.1:80 web.internal:80",
		},
		{"shown", raw("GET", "/admin/upstreams?name=back", nil), 404, `there is no upstream "back": the nearest names are "backup", "primary"`, "backup primary"},
		{"empty", drain(DrainRequest{}), 400, "upstream is missing", ""},
		{"reason", drain(DrainRequest{Upstream: "backup", Reason: strings.Repeat("x", 1001)}), 400, "reason has 1001 bytes", ""},
		{"key", raw("POST", "/admin/drain", map[string]string{"upsteam": "a"}), 400, "upsteam", ""},
		{"size", raw("POST", "/admin/drain", strings.Repeat("x", 1<<17)), 400, "too large", ""},
		{"since", raw("GET", "/admin/events?since=-1", nil), 400, `since "-1"`, ""},
		{"follow", raw("GET", "/admin/events?follow=yes", nil), 400, `follow "yes"`, ""},
	} {
		var p *Problem
		if err := q.ask(); !errors.As(err, &p) || p.Status != q.status || !strings.Contains(p.Message, q.want) || strings.Join(p.Nearest, " ") != q.nearest {
			t.Errorf("%s: %v (%+v), want %d %q near %q", q.name, err, p, q.status, q.want, q.nearest)
		}
	}
	if len(u.asked) != 0 || len(events.Since(0, 0)) != 0 {
		t.Errorf("wrong requests reached the upstreams: %v, %v", u.asked, events.Since(0, 0))
	}
}

// A drain by somebody unknown is refused.
func TestDrainWantsToKnowWho(t *testing.T) {
	u := twoUpstreams()
	s := NewServer(&fakeProcess{}, Version{})
	s.AddUpstreams(u)
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, httptest.NewRequest("POST", "/admin/drain", strings.NewReader(`{"upstream":"backup"}`)))
	if w.Code != http.StatusForbidden || len(u.asked) != 0 {
		t.Errorf("drain over no socket = %d %s, want 403", w.Code, w.Body)
	}
}

// An older process has no such paths.
func TestOtherVersion(t *testing.T) {
	c := NewClient(serve(t, &fakeProcess{}), 5*time.Second)
	if _, err := c.Upstreams(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "of another version") {
		t.Errorf("Upstreams() of a process without = %v, want that it is of another version", err)
	}
}

func TestActor(t *testing.T) {
	for _, c := range []struct {
		a    Actor
		want string
	}{
		{Actor{UID: 0, PID: 7, User: "root", Login: "alice"}, `root (uid 0, login "alice"), pid 7`},
		{Actor{UID: 1000, PID: 7, User: "bob"}, `bob (uid 1000), pid 7`},
		{Actor{UID: 4711}, `a user without a name (uid 4711), pid 0`},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("%+v in words = %s, want %s", c.a, got, c.want)
		}
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := actorOf(rememberConn(t.Context(), a)); err == nil {
		t.Error("actorOf a pipe has no error")
	}
}

func TestLogin(t *testing.T) {
	proc := t.TempDir()
	for pid, text := range map[string]string{"1": "4294967295", "2": "1000", "3": "987654321\n", "4": ""} {
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "loginuid"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		pid       int
		uid, want string
	}{{1, "0", ""}, {2, "1000", ""}, {3, "0", "987654321"}, {4, "0", ""}, {5, "0", ""}} {
		if got := login(proc, c.pid, c.uid); got != c.want {
			t.Errorf("login(%d, %s) = %q, want %q", c.pid, c.uid, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"api", "api-canary", "static", "Payments"}
	for _, c := range []struct{ name, want string }{
		{"apj", "api static Payments"}, {"canary", "api-canary api static"}, {"payments", "Payments api api-canary"}, {"statc", "static api Payments"},
	} {
		if got := strings.Join(nearest(c.name, known), " "); got != c.want {
			t.Errorf("nearest(%q) = %s, want %s", c.name, got, c.want)
		}
	}
	if p := unknown("upstream", "x", nil); p.Message != `there is no upstream "x": there is none at all` {
		t.Errorf("without any known name: %s", p.Message)
	}
}

func TestShellWord(t *testing.T) {
	for s, want := range map[string]string{"a/10.0.0.1:80": "a/10.0.0.1:80", "a b": "'a b'", "it's": `'it'\''s'`, "a$(x)": "'a$(x)'", "": "''"} {
		if got := shellWord(s); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", s, got, want)
		}
	}
}
