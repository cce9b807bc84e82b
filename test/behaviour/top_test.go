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

// TestTopTalkers asks the admin API who has most of the requests.
func TestTopTalkers(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, "", "system { $FILES; trusted-proxies \"127.0.0.1\" }\n"+forward(o, "matches { path-prefix \"/a\" }", ""))
	for range 5 {
		p.do("GET", "/a?query=1", "X-Forwarded-For: 192.0.2.7")
	}
	for range 3 {
		p.do("GET", "/none", "X-Forwarded-For: 192.0.2.8")
	}
	client := admin.NewClient(p.AdminSocket(), 5*time.Second)
	for _, c := range []struct {
		list, first string
		count       uint64
	}{
		{"clients", "192.0.2.7", 5},
		{"routes", "r", 5},
		{"paths", "/a", 5},
		{"faults", "no_route", 3},
	} {
		var top admin.Top
		eventually(t, fmt.Sprintf("%s has %d in the list of %s", c.first, c.count, c.list), func() (is bool) {
			var err error
			if top, err = client.Top(context.Background(), c.list, time.Minute, 5); err != nil {
				t.Fatal(err)
			}
			return len(top.Entries) > 0 && top.Entries[0].Count == c.count
		})
		if e := top.Entries[0]; e.Key != c.first || e.Error != 0 {
			t.Errorf("top %s = %+v, want %s first", c.list, top, c.first)
		}
	}
	for _, bad := range []string{"gods", ""} {
		if _, err := client.Top(context.Background(), bad, time.Minute, 5); err == nil || !strings.Contains(err.Error(), "clients, routes, paths") {
			t.Errorf("top %q = %v, want an error that names the lists", bad, err)
		}
	}
}
