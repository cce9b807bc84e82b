package override

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
	"sentinel/internal/observe/event"
)

// server makes configurations serve with layers, as a process does.
type server struct {
	k       *Keeper
	mu      sync.Mutex
	serving []Layer
	fails   error
}

func (s *server) fail(with error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = with
}

func (s *server) apply(_ context.Context, t Trial) (Applied, error) {
	t.Begin()
	defer t.End()
	s.mu.Lock()
	defer s.mu.Unlock()
	layers := s.k.Layers("")
	if s.fails != nil {
		return Applied{}, s.fails
	}
	if t.Commit != nil {
		t.Commit()
		s.serving = layers
	}
	return Applied{}, nil
}

// newServer returns a keeper with its server and its events. dir is the state folder.
func newServer(t *testing.T, dir string) (*server, *event.Log) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	events := event.New(64, log)
	s := &server{}
	s.k = New(Options{Events: events, Log: log, Apply: s.apply})
	s.serving = s.k.Layers(dir)
	return s, events
}

func (s *server) texts() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, y := range s.serving {
		list = append(list, fmt.Sprintf("%d %s", y.ID, y.Text))
	}
	return strings.Join(list, "\n")
}

func (s *server) make(t *testing.T, q admin.OverrideRequest) admin.OverrideResult {
	t.Helper()
	r, err := s.k.Override(t.Context(), q, admin.Actor{UID: 7, User: "ann", PID: 9})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func limits(seconds int64, n string) admin.OverrideRequest {
	return admin.OverrideRequest{Kind: admin.OverrideLimits, Seconds: seconds, Settings: []admin.Setting{{Key: "max-connections", Value: n}}, Reason: "tight"}
}

// Overrides end by themselves when their time has come, also when that fails at first.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, events := newServer(t, t.TempDir())
		s.k.Run()
		defer s.k.Close()
		s.make(t, limits(60, "5"))
		s.make(t, limits(3600, "6"))
		if _, err := s.k.Extend(admin.ExtendRequest{ID: 2, Seconds: 7200}, admin.Actor{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := strings.Count(s.texts(), "limits"); n != 2 {
			t.Errorf("%d layers serve before the end of one, want 2", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := s.texts(); got != "2 limits { max-connections 6 }" {
			t.Errorf("after a minute %q serves", got)
		}
		s.fail(errors.New("a certificate is gone"))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(s.k.Overrides()) != 1 {
			t.Error("an override whose end failed is forgotten")
		}
		s.fail(nil)
		time.Sleep(retryAfter)
		synctest.Wait()
		if s.texts() != "" || len(s.k.Overrides()) != 0 {
			t.Errorf("an end that failed isn't tried again: %q", s.texts())
		}
		var told []string
		for _, e := range events.Since(0, 0) {
			told = append(told, e.To)
		}
		if got, want := strings.Join(told, " "), "active active extended ended overdue ended"; got != want {
			t.Errorf("the events are %q, want %q", got, want)
		}
	})
}

// A new process takes over what holds, under numbers that aren't given again.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	s, _ := newServer(t, dir)
	s.make(t, limits(3600, "5"))
	s.make(t, admin.OverrideRequest{Kind: admin.OverrideDisable, Route: `a "b" ${X}` + "\n", Seconds: 1, Reason: "x\ny"})
	s.make(t, limits(3600, "7"))
	if _, err := s.k.Revert(t.Context(), admin.RevertRequest{IDs: []int{3}}, admin.Actor{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	s, _ = newServer(t, dir)
	if want := "1 limits { max-connections 5 }\n2 routes { route \"a \\\"b\\\" $${X}\\u{a}\" { disabled } }"; s.texts() != want {
		t.Errorf("a new process lays %q, want %q", s.texts(), want)
	}
	if r := s.make(t, limits(60, "8")); r.Override.ID != 4 || r.Override.By.User != "ann" {
		t.Errorf("the next override is %+v, want number 4", r.Override)
	}
	if list, err := InFile(dir); err != nil || len(list) != 3 {
		t.Errorf("InFile() = %+v, %v, want 3", list, err)
	}
}

// A file that can't be understood is kept aside, and nothing is laid.
func TestBrokenFile(t *testing.T) {
	for _, text := range []string{"{", `{"version":2}`, `{"version":1,"overrides":[{"id":1,"kind":"reboot"}]}`, `{"version":1,"overrides":[{"id":1,"kind":"limits","settings":[{"key":"a\nb","value":"1"}],"text":"limits {}"}]}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, _ := newServer(t, dir)
		if len(s.serving) > 0 {
			t.Errorf("%s: %q serves", text, s.texts())
		}
		if found, _ := filepath.Glob(filepath.Join(dir, fileName+".broken-*")); len(found) != 1 {
			t.Errorf("%s: kept aside: %q", text, found)
		}
	}
}

// What doesn't fit changes nothing and takes no number.
func TestRefused(t *testing.T) {
	s, events := newServer(t, t.TempDir())
	s.fails = errors.New("it doesn't fit")
	if _, err := s.k.Override(t.Context(), limits(60, "5"), admin.Actor{}); !errors.Is(err, s.fails) {
		t.Errorf("Override() = %v, want %v", err, s.fails)
	}
	s.fails = nil
	if r := s.make(t, limits(60, "5")); r.Override.ID != 1 || len(events.Since(0, 0)) != 1 {
		t.Errorf("the first that fits is %+v, and the events are %+v", r.Override, events.Since(0, 0))
	}
	if r := s.make(t, limits(60, "6")); len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "override 1 is about the same") {
		t.Errorf("the notes are %q", r.Notes)
	}
	q := limits(60, "9")
	q.DryRun = true
	if r := s.make(t, q); !r.DryRun || len(s.k.Overrides()) != 2 || len(s.serving) != 2 {
		t.Errorf("a dry run changes what serves: %q", s.texts())
	}
	for i := len(s.serving); i < OverridesMax; i++ {
		s.make(t, limits(60, "5"))
	}
	if _, err := s.k.Override(t.Context(), limits(60, "5"), admin.Actor{}); err == nil || !strings.Contains(err.Error(), "there are 64 overrides already") {
		t.Errorf("one override too many: %v", err)
	}
}

// Layers are without effect and have it again, which is told once each.
func TestEffects(t *testing.T) {
	dir := t.TempDir()
	s, events := newServer(t, dir)
	s.make(t, limits(60, "5"))
	for _, idle := range []string{"", `route "a" is gone`, `route "a" is gone`, ""} {
		s.k.Serves(dir, []Effect{{ID: 1, Idle: idle}})
		if got := s.k.Overrides()[0].Idle; got != idle {
			t.Errorf("Idle = %q, want %q", got, idle)
		}
	}
	var told []string
	for _, e := range events.Since(1, 0) {
		told = append(told, fmt.Sprint(e.To, " ", e.Worse))
	}
	if got, want := strings.Join(told, ", "), "without effect true, active false"; got != want {
		t.Errorf("the events are %q, want %q", got, want)
	}
}

func TestDiffTexts(t *testing.T) {
	before := "a\nb\nc\nd\ne\nf\ng\nh\ni\n"
	after := "a\nb\nc\nX\ne\nf\ng\nh\ni\nY\n"
	got := DiffTexts(sources("c.kdl", before, "d.kdl", "same"), sources("c.kdl", after, "d.kdl", "same"))
	want := "--- c.kdl\n+++ c.kdl\n@@ -2,5 +2,5 @@\n b\n c\n-d\n+X\n e\n f\n@@ -8,2 +8,3 @@\n h\n i\n+Y\n"
	if got != want {
		t.Errorf("DiffTexts() = %q, want %q", got, want)
	}
}

func sources(texts ...string) (list []history.Source) {
	for i := 0; i < len(texts); i += 2 {
		list = append(list, history.Source{Path: texts[i], Text: []byte(texts[i+1])})
	}
	return list
}
