package behaviour

import (
	"fmt"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/series"
	"sentinel/internal/testkit/origin"
)

// troubled serves /ok by an origin, and /dead by an upstream that refuses connections.
func troubled(t *testing.T, o *origin.Origin) string {
	return fmt.Sprintf(`routes {
	route "fine" { matches { path-prefix "/ok" }; upstream "u" }
	route "dead" { matches { path-prefix "/dead" }; upstream "gone" }
}
upstreams {
	%s
	upstream "gone" { target "%s" }
}
`, upstream("u", o, ""), closedPort(t))
}

// What the last minutes brought is told by routes, upstreams and faults, without a wait for
// the step in hand to end.
func TestSeries(t *testing.T) {
	p := start(t, "", troubled(t, origin.Start(t, origin.OK(2))))
	for range 4 {
		p.do("GET", "/ok")
	}
	for range 3 {
		p.do("GET", "/dead")
	}
	p.do("GET", "/none")
	client := admin.NewClient(p.AdminSocket(), 5*time.Second)
	var w series.Window
	eventually(t, "the series have all requests", func() bool {
		var err error
		if w, err = client.Series(t.Context(), 5*time.Minute, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		n := uint64(0)
		for _, r := range w.Routes {
			n += r.Now.Requests
		}
		return n == 8
	})
	stats, faults := map[string]string{}, map[string]uint64{}
	for _, s := range append(w.Routes, w.Upstreams...) {
		stats[s.Name] = fmt.Sprint(s.Now.Requests, s.Now.Errors, s.Now.Refused)
	}
	for _, f := range w.Faults {
		faults[f.Route+" "+f.Fault] = f.Now
	}
	if stats["fine"] != "4 0 0" || stats["dead"] != "3 3 0" || stats["-"] != "1 0 1" || stats["u"] != "4 0 0" || stats["gone"] == "0 0 0" {
		t.Errorf("the series are %v", stats)
	}
	if faults["dead upstream_refused"]+faults["dead breaker_open"] != 3 || faults["- no_route"] != 1 {
		t.Errorf("the faults are %v", faults)
	}
	if m := w.Moments; len(m) == 0 || m[0].ResidentBytes < 1<<20 || m[0].Accepted == 0 {
		t.Errorf("the moments are %+v, want memory and connections", m)
	}
	for _, bad := range []time.Duration{0, 2 * time.Hour} {
		if _, err := client.Series(t.Context(), bad, 0); err == nil {
			t.Errorf("Series over %s succeeded", bad)
		}
	}
	if _, err := client.Series(t.Context(), time.Minute, time.Second); err == nil {
		t.Errorf("Series in points of 1s succeeded")
	}
}

// The commands say it for people.
func TestErrorsAndStatusSince(t *testing.T) {
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		if r.Target == "/ok/broken" {
			return origin.Response(r, 503, "")
		}
		return origin.Response(r, 200, "")
	}))
	p := start(t, "", troubled(t, o))
	p.do("GET", "/ok")
	for range 3 {
		p.do("GET", "/dead")
	}
	p.do("GET", "/none")
	p.do("GET", "/ok/broken")
	want(t, "errors", p.sentinel("errors"), "4 of 6 requests were answered with 5xx", "upstream_refused", "dead", "gone", "new", "answered 503", o.Addr(),
		"sentinel why upstream_refused", "nc -zv -w 3 127.0.0.1")
	want(t, "errors --all", p.sentinel("errors", "--all"), "no_route")
	want(t, "errors --json", p.sentinel("errors", "--json"), `"fault": "upstream_refused"`)
	want(t, "status --since", p.sentinel("status", "--since", "15m"), "fine", "dead", "gone", "3 (100.0%)", "connections", "memory", "no change of state")
}
