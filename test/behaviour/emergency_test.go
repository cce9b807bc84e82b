package behaviour

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
	"sentinel/internal/testkit/origin"
)

// emergency makes an emergency change by the command line and returns what that says.
func (p *proxy) emergency(args ...string) string {
	p.t.Helper()
	return p.sentinel(append([]string{"emergency"}, args...)...)
}

// overrides asks for what is laid over the configuration.
func (p *proxy) overrides() []admin.Override {
	p.t.Helper()
	list, err := admin.NewClient(p.AdminSocket(), 10*time.Second).Overrides(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// gauge returns the line of a metric.
func (p *proxy) overrideGauge(kind, n string) {
	p.t.Helper()
	if line := "\nsentinel_overrides{kind=\"" + kind + "\"} " + n + "\n"; !strings.Contains(p.Metrics(), line) {
		p.t.Errorf("the metrics lack %q: %s", line, linesWith(p.Metrics(), "sentinel_overrides{"))
	}
}

// TestEmergencyRateLimit bounds clients of a route that has a generous limit of its own, tries
// that before, and takes it back.
func TestEmergencyRateLimit(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", forward(o, "rate-limit { requests-per-second 1000 }", ""))
	p.expectStatuses(map[int]int{200: 20}, 20, "/")
	said := p.emergency("rate-limit", "--requests-per-minute", "3", "--route", "r", "--dry-run")
	want(t, "a dry run", said, `rate-limit "emergency-1" is new`, "20 requests of 1 client came", "17 of 20 requests refused", "Nothing was changed.")
	p.expectStatuses(map[int]int{200: 5}, 5, "/")
	said = p.emergency("rate-limit", "--requests-per-minute", "3", "--reason", "flood \n\"x\"", "--for", "1h")
	want(t, "the change", said, "Override 1 holds for 1h 0m", "To undo: sentinel emergency revert 1 --admin-socket")
	p.expectStatuses(map[int]int{200: 3, 429: 2}, 5, "/")
	p.overrideGauge("rate-limit", "1")
	want(t, "the status", p.sentinel("status"), "EMERGENCY CHANGES", "rate-limit requests-per-minute 3", `"flood \n\"x\""`)
	want(t, "the list", p.emergency("list"), "rate-limit requests-per-minute 3")
	p.emergency("revert", "1")
	p.expectStatuses(map[int]int{200: 5}, 5, "/")
	p.overrideGauge("rate-limit", "0")
	events := p.events(event.KindOverride)
	if len(events) != 2 || events[0].To != "active" || events[1].To != "reverted" || !strings.Contains(events[1].Cause, "uid") {
		t.Errorf("the events are %+v", events)
	}
	want(t, "the log", p.Logs(), "override active", "override reverted", "requests-per-minute 3")
}

// TestEmergencyLimits closes what idles beyond a limit, at once, and lets a stricter one of the
// file hold.
func TestEmergencyLimits(t *testing.T) {
	p := start(t, "", "limits { max-body-size 5 }\nroutes { route \"r\" { respond 200 \"ok\" } }\n")
	clients := 0
	for range 6 {
		c := p.dial()
		if err := c.Send(getRoot); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadFinalResponse("GET"); err != nil {
			t.Fatal(err)
		}
		clients++
	}
	said := p.emergency("limits", "--max-connections", "3", "--max-body-size", "1MB")
	want(t, "the change", said, "max connections changes from 65536 to 3")
	if strings.Contains(said, "body") {
		t.Errorf("a limit that is stricter in the file is said to change: %s", said)
	}
	eventually(t, "idle connections are closed", func() bool { return p.Status().Connections <= 3 })
	if p.Status().Limit != 3 {
		t.Errorf("the limit is %d", p.Status().Limit)
	}
	p.emergency("revert", "--all")
	if p.Status().Limit != 65536 {
		t.Errorf("the limit is %d after the revert", p.Status().Limit)
	}
}

// TestEmergencyRoutes disables a route, sends another to its fallback, and gives a third more
// time.
func TestEmergencyRoutes(t *testing.T) {
	own, spare, late := named(t, "own"), named(t, "spare"), origin.Start(t, origin.Answer(func(r origin.Request) string {
		<-time.After(700 * time.Millisecond)
		return origin.Response(r, 200, "late")
	}))
	p := start(t, "", `routes {
		route "own" { matches { path "/own" }; upstream "own"; fallback-upstream "spare" }
		route "late" { matches { path "/late" }; upstream "late"; timeouts { request-secs 0.2 } }
	}
	upstreams { `+upstream("own", own, "")+upstream("spare", spare, "")+upstream("late", late, "")+"}\n")
	expect := func(path string, status int, text string) {
		t.Helper()
		if r := p.do("GET", path); r.Status != status || text != "" && r.Text() != text {
			t.Errorf("%s: %d %q, want %d %q", path, r.Status, r.Text(), status, text)
		}
	}
	expect("/own", 200, "own")
	p.emergency("fallback", "own", "--use")
	expect("/own", 200, "spare")
	p.emergency("disable-route", "own", "--retry-after", "7")
	if r := p.do("GET", "/own"); r.Status != 503 || !strings.Contains(string(r.Raw), "Retry-After: 7\r\n") {
		t.Errorf("a disabled route answers %q", r.Raw)
	}
	expect("/late", 504, "")
	p.emergency("timeouts", "--request-secs", "20", "--route", "late")
	expect("/late", 200, "")
	p.emergency("revert", "1", "2", "3")
	expect("/own", 200, "own")
	expect("/late", 504, "")
}

// TestEmergencyChallenge has browsers work on one route only.
func TestEmergencyChallenge(t *testing.T) {
	p := start(t, "", `routes { route "a" { matches { path "/a" }; respond 200 "a" }; route "b" { respond 200 "b" } }`)
	said := p.emergency("challenge", "always", "--threshold", "60", "--route", "a", "--dry-run")
	want(t, "a dry run", said, "0 clients would have been challenged")
	p.emergency("challenge", "always", "--route", "a")
	r := p.do("GET", "/a", "Accept: text/html", "User-Agent: Mozilla/5.0")
	if r.Status != 503 || !strings.Contains(r.Text(), "<html") {
		t.Errorf("the challenge is %d %.100q", r.Status, r.Text())
	}
	if r := p.do("GET", "/b", "Accept: text/html"); r.Status != 200 {
		t.Errorf("another route answers %d", r.Status)
	}
}

// TestEmergencyRefused changes nothing and says why.
func TestEmergencyRefused(t *testing.T) {
	p := start(t, "", `routes { route "api" { respond 200 "a" } }`)
	client := admin.NewClient(p.AdminSocket(), 10*time.Second)
	for _, c := range []struct {
		q    admin.OverrideRequest
		want string
	}{
		{admin.OverrideRequest{Kind: "limits", Seconds: 60, Settings: []admin.Setting{{Key: "max-connections", Value: "many"}}}, "max-connections takes a whole number"},
		{admin.OverrideRequest{Kind: "limits", Seconds: 60, Settings: []admin.Setting{{Key: "max-conections", Value: "5"}}}, `unknown key "max-conections"`},
		{admin.OverrideRequest{Kind: "limits", Seconds: 60}, "wants a limit"},
		{admin.OverrideRequest{Kind: "limits", Route: "api", Seconds: 60, Settings: []admin.Setting{{Key: "max-connections", Value: "5"}}}, "doesn't hold for one route"},
		{admin.OverrideRequest{Kind: "disable-route", Route: "apl", Seconds: 60}, `there is no route "apl": the nearest name is "api"`},
		{admin.OverrideRequest{Kind: "fallback", Route: "api", Seconds: 60, Settings: []admin.Setting{{Key: "use-fallback", Value: "#true"}}}, "no fallback-upstream"},
		{admin.OverrideRequest{Kind: "fallback", Route: "api", Seconds: 60, Settings: []admin.Setting{{Key: "x } limits { max-connections 1 }; y", Value: "1"}}}, "is no key"},
		{admin.OverrideRequest{Kind: "disable-route", Route: "api", Seconds: 90000}, "lasts from 1s to 24h"},
		{admin.OverrideRequest{Kind: "reboot", Seconds: 60}, "there is no kind"},
	} {
		if _, err := client.Override(context.Background(), c.q); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.q, err, c.want)
		}
	}
	if _, err := client.Revert(context.Background(), admin.RevertRequest{IDs: []int{7}}); err == nil || !strings.Contains(err.Error(), "there is no override 7") {
		t.Errorf("revert of none: %v", err)
	}
	if s := p.Status(); s.Generation != 1 || len(s.Overrides) > 0 {
		t.Errorf("something has changed: %+v", s)
	}
}

// TestEmergencyOverReload keeps overrides over reloads: one whose route has gone is without
// effect until it is back, one that doesn't fit any more makes the reload fail and is named.
func TestEmergencyOverReload(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	text := func(routes, spare string) string {
		return "listeners { listener \"l\" { address \"127.0.0.1:0\" } }\nroutes { " + routes + ` route "r" { upstream "u" } }
upstreams { ` + upstream("u", o, "") + spare + "}\n"
	}
	const api = `route "api" { matches { path-prefix "/api" }; upstream "u" }` + "\n"
	spare := upstream("s", o, "")
	both := spare + upstream("v", o, "")
	p := start(t, "", strings.TrimPrefix(text(api, spare), "listeners { listener \"l\" { address \"127.0.0.1:0\" } }\n"))
	p.emergency("disable-route", "api")
	p.emergency("fallback", "r", "s")
	for range 2 {
		if got := p.Reload(text(api, spare)); !got.OK {
			t.Fatalf("a reload fails: %+v", got)
		}
	}
	if got := p.do("GET", "/api").Status; got != 503 {
		t.Errorf("after a reload a disabled route answers %d", got)
	}
	got := p.Reload(text("", spare))
	if !got.OK || !strings.Contains(strings.Join(got.Notes, "\n"), `without effect: route "api" is gone; sentinel emergency revert 1`) {
		t.Errorf("a reload without the route: %+v", got)
	}
	want(t, "the list", p.emergency("list"), `Override 1 is WITHOUT EFFECT: route "api" is gone`)
	if got := p.Reload(text(api, spare)); !got.OK || len(got.Notes) > 0 {
		t.Errorf("a reload with the route again: %+v", got)
	}
	if got := p.do("GET", "/api").Status; got != 503 {
		t.Errorf("once it is back a disabled route answers %d", got)
	}
	got = p.Reload(text(api, ""))
	if got.OK || !strings.Contains(strings.Join(got.Details, "\n"), "override 2 doesn't fit this configuration, which is valid without it") ||
		!strings.Contains(strings.Join(got.Details, "\n"), "sentinel emergency revert 2") {
		t.Errorf("a reload without the upstream of an override: %+v", got)
	}
	got = p.Reload(text("nonsense\n", spare))
	if got.OK || strings.Contains(strings.Join(got.Details, "\n"), "override") {
		t.Errorf("a reload of a broken file: %+v", got)
	}
	// One that rests on another isn't taken for the one that doesn't fit.
	if got := p.Reload(text(api, both)); !got.OK {
		t.Fatalf("a reload fails: %+v", got)
	}
	p.emergency("fallback", "r", "--use")
	p.emergency("fallback", "api", "v")
	got = p.Reload(text(api, spare))
	if lines := strings.Join(got.Details, "\n"); got.OK || !strings.Contains(lines, "emergency revert 4") || strings.Contains(lines, "override 3") || strings.Contains(lines, "override 2") {
		t.Errorf("a reload without the upstream of one of three overrides: %+v", got)
	}
	p.emergency("revert", "3", "4")
	// An emergency change doesn't read what stands in the file.
	p.emergency("revert", "2")
	if got := p.do("GET", "/api").Status; got != 503 {
		t.Errorf("after a revert of another one a disabled route answers %d", got)
	}
	if got := p.Reload(text(api, "")); !got.OK {
		t.Errorf("a reload once the override is reverted: %+v", got)
	}
}

// TestEmergencyCommit writes a change into the file, where comments stay, and ends it.
func TestEmergencyCommit(t *testing.T) {
	p := start(t, "", `// why we are here
routes {
    route "api" { // the application
        respond 200 "ok"
    }
}
`)
	p.emergency("disable-route", "api", "--status", "404")
	said := p.emergency("commit", "1", "--dry-run")
	want(t, "a dry run", said, "+        disabled { status 404 }", "Nothing was changed.")
	said = p.emergency("commit", "1")
	want(t, "the commit", said, "+        disabled { status 404 }", "is part of the configuration", "To undo: sentinel rollback")
	file, err := os.ReadFile(filepath.Join(filepath.Dir(p.AdminSocket()), "config.kdl"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the file", string(file), "// why we are here\n", "// the application\n        respond 200 \"ok\"\n        disabled { status 404 }\n    }\n")
	if list := p.overrides(); len(list) > 0 {
		t.Errorf("there is still %+v", list)
	}
	if got := p.do("GET", "/").Status; got != 404 {
		t.Errorf("the route answers %d", got)
	}
	if e := p.events(event.KindOverride); e[len(e)-1].To != "committed" {
		t.Errorf("the events are %+v", e)
	}
	// A file that holds what doesn't serve isn't touched.
	p.emergency("limits", "--max-connections", "100")
	if err := os.WriteFile(filepath.Join(filepath.Dir(p.AdminSocket()), "config.kdl"), append(file, "// half an edit {\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = admin.NewClient(p.AdminSocket(), 10*time.Second).CommitOverride(context.Background(), admin.CommitRequest{ID: 2})
	if err == nil || !strings.Contains(err.Error(), "the files hold what doesn't serve") {
		t.Errorf("a commit into a file that was edited: %v", err)
	}
}

// TestEmergencyEnds lets a change end by itself, and extends another.
func TestEmergencyEnds(t *testing.T) {
	p := start(t, "", `routes { route "api" { respond 200 "ok" } }`)
	p.emergency("disable-route", "api", "--for", "1s")
	p.emergency("limits", "--max-connections", "100", "--for", "5m")
	want(t, "the extension", p.emergency("extend", "2", "--for", "2h"), "holds for 2h 0m")
	eventually(t, "the route serves again", func() bool { return p.do("GET", "/").Status == 200 })
	if list := p.overrides(); len(list) != 1 || list[0].ID != 2 {
		t.Errorf("there are %+v, want the one that was extended", list)
	}
	told := false
	for _, e := range p.events(event.KindOverride) {
		told = told || e.To == "ended" && e.Cause == "its time is over" && e.Route == "api"
	}
	if !told {
		t.Errorf("the end isn't told: %+v", p.events(event.KindOverride))
	}
}
