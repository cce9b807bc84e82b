package behaviour

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/flight"
	"sentinel/internal/testkit/origin"
)

// flights returns the records that q wants.
func (p *proxy) flights(q *flight.Query) []flight.Entry {
	p.t.Helper()
	r, err := admin.NewClient(p.AdminSocket(), 5*time.Second).Flight(p.t.Context(), q)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Records
}

// A request that failed is found by the id in its answer, with its tries and phases.
func TestFlightOfFailedRequest(t *testing.T) {
	dead, breaks := closedPort(t), origin.Start(t, origin.CloseBeforeResponse())
	p := start(t, "", fmt.Sprintf(`routes { route "r" { upstream "u"; retry-policy { max-attempts 2 } } }
upstreams { upstream "u" { target "%s"; target "%s" } }
`, dead, breaks.Addr()))
	r := p.do("GET", "/a?b=c", "User-Agent: agent\u202e")
	id := r.Fields.Get("X-Request-Id")
	if r.Status != 502 || id == "" {
		t.Fatalf("GET = %d with id %q, want 502 with one", r.Status, id)
	}
	var list []flight.Entry
	eventually(t, "the request is kept", func() bool { list = p.flights(&flight.Query{ID: id}); return len(list) == 1 })
	e := list[0]
	if e.Class != "failed" || e.Method != "GET" || e.Host != "example.com" || e.Path != "/a" || e.Query != "b=c" || e.Agent != "agent\u202e" ||
		e.Route != "r" || e.Upstream != "u" || e.Listener != "l" || e.Client != "127.0.0.1" || e.Status != 502 || e.Fault == "" {
		t.Errorf("the record is %+v", e)
	}
	if e.Tries < 2 || len(e.Tried) != e.Tries-1 || e.Tried[0].Fault == "" || e.Tried[0].Target == "" {
		t.Errorf("the tries are %+v of %d, want all but the last", e.Tried, e.Tries)
	}
	said := p.sentinel("explain", id)
	want(t, "explain", said, "GET example.com/a", "query b=c", "listener l, route r, upstream u", "answered 502", "it failed here", "sentinel why", `agent\u202e`)
	if strings.Contains(said, "\u202e") {
		t.Errorf("explain prints what the client sent as it is: %q", said)
	}
}

// The time of a slow request is told by phase.
func TestFlightOfSlowRequest(t *testing.T) {
	const pause = 60 * time.Millisecond
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		time.Sleep(pause)
		return origin.Response(r, 200, "late")
	}))
	p := start(t, "", forward(o, "", ""))
	p.do("GET", "/late")
	var list []flight.Entry
	eventually(t, "the request is kept", func() bool {
		list = p.flights(&flight.Query{Classes: []flight.Class{flight.Slow}, Slowest: true})
		return len(list) == 1
	})
	for _, part := range list[0].Phases {
		if is := part.Seconds >= pause.Seconds(); is != (part.Phase == "answer") {
			t.Errorf("phase %s took %v s, want the pause in answer alone", part.Phase, part.Seconds)
		}
	}
	want(t, "slow", p.sentinel("slow"), "answer ", "GET example.com/late", "ROUTE", "UPSTREAM")
}

// Refusals have a ring of their own, and a request that went well isn't kept once its route
// has enough that were slower.
func TestFlightLeavesOutWhatIsWell(t *testing.T) {
	p := start(t, "", "routes { route \"r\" { matches { path-prefix \"/a\" }; respond 200 \"x\" } }\n")
	p.do("GET", "/none")
	for range 300 {
		p.do("GET", "/a")
	}
	var refused []flight.Entry
	eventually(t, "the refusal is kept", func() bool {
		refused = p.flights(&flight.Query{Classes: []flight.Class{flight.Refused}})
		return len(refused) == 1
	})
	if refused[0].Fault != "no_route" || refused[0].Route != "" {
		t.Errorf("the refusal is %+v, want no_route", refused[0])
	}
	if n := len(p.flights(&flight.Query{Classes: []flight.Class{flight.Slow}, Max: 1000})); n < 12 || n > 60 {
		t.Errorf("of 300 requests alike %d are kept as slow, want a dozen and those that were slower", n)
	}
	if n := len(p.flights(&flight.Query{Classes: []flight.Class{flight.Failed}})); n != 0 {
		t.Errorf("%d are kept as failed, want none", n)
	}
}
