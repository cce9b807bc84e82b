package topview

import (
	"context"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
	"sentinel/internal/ops/overview"

	"charm.land/lipgloss/v2"
)

// nasty is a text that a terminal must not get as it is.
const nasty = "\x1b[31mx\x1b]0;t\a\r\n\u202e日本\x00 long enough to be cut in every column there is, whatever the width"

func nastyFrame() *overview.Frame {
	f := &overview.Frame{At: time.Now(), Version: nasty, Who: admin.Actor{User: nasty, Role: "admin"}, Missing: []string{nasty}}
	f.Process = overview.Process{State: "serving", Reasons: []string{nasty}, LastReload: &admin.Outcome{Error: nasty}}
	for i := range 70 {
		f.Points = append(f.Points, overview.Point{Requests: float64(i * i), Errors: float64(i % 7)})
	}
	for range 30 {
		f.Routes = append(f.Routes, overview.Route{Name: nasty, Target: nasty, Requests: 1e9, Errors: 3, ErrorShare: 1, P99: 1e9, Points: []float64{1, 2, 3}})
		f.Faults = append(f.Faults, overview.Fault{Route: nasty, Fault: nasty, Side: nasty, Recent: 1 << 60, Count: 1 << 60})
		u := overview.Upstream{Trouble: "PANIC"}
		u.Name, u.Fallback = nasty, []string{nasty}
		u.Targets = []admin.TargetStatus{{Address: nasty, Resolved: nasty, State: nasty, Cause: nasty, Breaker: admin.BreakerStatus{State: "open", Cause: nasty}}}
		f.Upstr = append(f.Upstr, u)
		f.Clients.Entries = append(f.Clients.Entries, admin.TopEntry{Key: nasty, Count: 1 << 60, Cut: true})
		f.Events = append(f.Events, event.Event{Kind: nasty, Worse: true, Upstream: nasty, Cause: nasty})
		f.Bans = append(f.Bans, admin.Ban{Prefix: nasty, By: admin.Actor{UID: -1, Subject: nasty}, Reason: nasty})
	}
	return f
}

// TestScreens draws every page at many sizes, empty and with texts that must not come through.
func TestScreens(t *testing.T) {
	for name, f := range map[string]*overview.Frame{"empty": {}, "nasty": nastyFrame()} {
		for _, width := range []int{1, 39, 40, 41, 79, 80, 81, 200} {
			for _, height := range []int{1, 9, 10, 11, 24, 25, 60} {
				for page := range pages {
					m := newModel(context.Background(), Options{})
					m.width, m.height, m.frame, m.page = width, height, f, page
					m.move("end")
					checkScreen(t, name, m)
					m.key("d")
					m.key("d")
					checkScreen(t, name+" dialog", m)
					m.dialog, m.message, m.help = nil, nasty, page == 0
					checkScreen(t, name+" message", m)
				}
			}
		}
	}
}

func checkScreen(t *testing.T, name string, m *model) {
	t.Helper()
	lines := m.screen()
	if want := m.height; len(lines) != want && m.width >= widthLeast && m.height >= heightLeast {
		t.Errorf("%s: page %d at %dx%d has %d lines, want %d", name, m.page, m.width, m.height, len(lines), want)
	}
	for _, l := range lines {
		if w := lipgloss.Width(l); w > m.width || strings.ContainsAny(l, "\n\r\x00\a\u202e") || strings.Contains(l, "\x1b[31m") || strings.Contains(l, "\x1b]") {
			t.Fatalf("%s: page %d at %dx%d has the line %q of %d columns", name, m.page, m.width, m.height, l, w)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{rate(0), "0"},
		{rate(0.012), "0.01"},
		{rate(0.31), "0.3"},
		{rate(99.4), "99.4"},
		{rate(1234), "1234"},
		{rate(12345), "12.3k"},
		{rate(1.5e6), "1.5M"},
		{percent(0), "0%"},
		{percent(0.0004), "0.04%"},
		{percent(0.031), "3.1%"},
		{percent(1), "100%"},
		{millis(0), "-"},
		{millis(0.44), "0.4ms"},
		{millis(48.2), "48ms"},
		{millis(1234), "1.2s"},
		{millis(3.6e6), "3600s"},
		{span(-time.Second), "0s"},
		{span(59 * time.Second), "59s"},
		{span(3 * time.Hour), "3h00m"},
		{span(50 * time.Hour), "2d02h"},
		{cut("abcdef", 4), "abc~"},
		{cut("日本語", 4), "日~ "},
		{cut("abc", 0), ""},
		{fit("ab", 4), "ab  "},
		{right("ab", 4), "  ab"},
		{text("a\"b\\c\n\x1b é\u202e"), `a"b\c\n\x1b é\u202e`},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestGraph(t *testing.T) {
	got := strings.Join(graph([]float64{0, 0.001, 5, 10}, 5, 2, 10), "\n")
	if want := "    |\n  .||"; got != want {
		t.Errorf("graph = %q, want %q", got, want)
	}
}

// TestUsableWithout counts what a drain leaves.
func TestUsableWithout(t *testing.T) {
	u := overview.Upstream{Usable: 2}
	u.Targets = []admin.TargetStatus{
		{Address: "a", State: admin.TargetHealthy, Weight: 1},
		{Address: "b", State: admin.TargetHealthy, Weight: 1},
		{Address: "c", State: admin.TargetUnhealthy, Weight: 1},
	}
	for i, want := range []int{1, 1, 2} {
		if got := usableWithout(target{&u, &u.Targets[i]}); got != want {
			t.Errorf("without %s = %d, want %d", u.Targets[i].Address, got, want)
		}
	}
	if got := usableWithout(target{up: &u}); got != 0 {
		t.Errorf("without the upstream = %d, want 0", got)
	}
}
