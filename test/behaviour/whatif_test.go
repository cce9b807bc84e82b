package behaviour

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/origin"
)

// What limits would have done is asked of a proxy that has none, whose requests come from two
// clients, and of one that has some.
func TestWhatIf(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", "system { $FILES; trusted-proxies \"127.0.0.1\" }\nlimits { max-concurrent-requests 100 }\n"+
		"routes { route \"own\" { matches { path \"/own\" }; upstream \"u\"; rate-limit { "+slow+"burst 2 } }\nroute \"r\" { upstream \"u\" } }\nupstreams { "+upstream("u", o, "")+"}\n")
	for range 20 {
		p.do("GET", "/a?x", "X-Forwarded-For: 192.0.2.7")
	}
	p.do("POST", "/b", "X-Forwarded-For: 192.0.2.8", "Content-Length: 0")
	p.statuses(5, "/own", "X-Forwarded-For: 192.0.2.8")
	c := p.dial()
	ask := func(limits []admin.WhatIfLimit, whole bool, bounds ...admin.WhatIfBound) admin.WhatIf {
		t.Helper()
		for i := range limits {
			limits[i].Burst, limits[i].PerMinute, limits[i].Keys = max(limits[i].Burst, 1), 1, 1000
		}
		w, err := admin.NewClient(p.AdminSocket(), 5*time.Second).WhatIf(context.Background(), admin.WhatIfRequest{Seconds: 60, Limits: limits, Whole: whole, Connections: bounds})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for _, c := range []struct {
		name  string
		limit admin.WhatIfLimit
		whole bool
		want  string // requests, refused, clients, hit, worst
	}{
		{"by client", admin.WhatIfLimit{Key: []string{"client_ip"}, Burst: 5}, false, "21 15 2 1 192.0.2.7 15 of 20"},
		{"by client, of a whole configuration", admin.WhatIfLimit{Key: []string{"client_ip"}, Burst: 5}, true, "26 16 2 2 192.0.2.7 15 of 20"},
		{"by method", admin.WhatIfLimit{Key: []string{"method"}, Burst: 1}, false, "21 19 2 1 192.0.2.7 19 of 20"},
		{"by path", admin.WhatIfLimit{Key: []string{"path"}, Burst: 2}, false, "21 18 2 1 192.0.2.7 18 of 20"},
		{"by host and listener", admin.WhatIfLimit{Key: []string{"host", "listener"}, Burst: 20}, false, "21 1 2 1 192.0.2.8 1 of 1"},
		{"of a route", admin.WhatIfLimit{Key: []string{"client_ip"}, Route: "own", Burst: 1}, false, "5 4 1 1 192.0.2.8 4 of 5"},
		{"of a listener", admin.WhatIfLimit{Key: []string{"client_ip"}, Listener: "l", Burst: 30}, false, "21 0 2 0"},
		{"of a listener that isn't there", admin.WhatIfLimit{Key: []string{"client_ip"}, Listener: "x"}, false, "0 0 0 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask([]admin.WhatIfLimit{c.limit}, c.whole)
			a := w.Limits[0]
			got := fmt.Sprint(a.Requests, a.Refused, a.Clients, a.Hit)
			if len(a.Worst) > 0 {
				got += fmt.Sprintf(" %s %d of %d", a.Worst[0].Client, a.Worst[0].Refused, a.Worst[0].Requests)
			}
			if got != c.want {
				t.Errorf("the answer is %s, want %s", got, c.want)
			}
		})
	}
	if a := ask([]admin.WhatIfLimit{{Key: []string{"cookie:id"}}}, false).Limits[0]; !strings.Contains(a.Unknown, "cookie") {
		t.Errorf("by cookie: %+v, want that it isn't known", a)
	}
	c.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	second := p.dial()
	second.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	bounds := []admin.WhatIfBound{
		{Key: "max-connections", Limit: 1},
		{Key: "max-connections", Limit: 1, Listener: "l"},
		{Key: "max-connections-per-client", Limit: 1},
		{Key: "max-concurrent-requests", Limit: 1},
		{Key: "max-body-size", Limit: 1},
	}
	eventually(t, "connections are counted", func() bool {
		got := ask(nil, false, bounds...).Connections
		return got[0].Now == 2 && got[0].Peak == 2 && got[0].Over > 0 && got[1].Peak == 2 && got[2].Clients == 1 && got[2].Excess == 1 &&
			got[2].Largest == "127.0.0.1" && got[3].Unknown == "" && got[4].Unknown != ""
	})
}
