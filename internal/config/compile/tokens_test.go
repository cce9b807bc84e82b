package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFeedsLiveOn checks that keys that are fetched stay through a reload, that blocks of one
// URL share them, and that URLs which differ in what may be secret alone are told apart.
func TestFeedsLiveOn(t *testing.T) {
	live := newLive(t)
	build := func(urls ...string) {
		t.Helper()
		text := "listeners { listener \"a\" { address \"127.0.0.1:80\" } }\nroutes {\n"
		for i, u := range urls {
			text += fmt.Sprintf("route \"r%d\" { matches { path \"/%d\" }; respond 204; policies { jwt-auth { jwks-url %q; algorithms \"RS256\"; refresh-secs %d } } }\n", i, i, u, 100-i)
		}
		_, commit, diags := Build(load(t, text+"}\n"), live, func(string) int { return 0 })
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		commit()
	}
	const one, two, other = "https://id.example.com/keys?key=one", "https://id.example.com/keys?key=two", "https://id.example.com/other"
	build(one, two, one, other)
	feeds := live.Feeds()
	var names []string
	for _, f := range feeds {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "https://id.example.com/keys https://id.example.com/keys#2 https://id.example.com/other" {
		t.Errorf("the feeds are called %s", got)
	}
	if got := feeds[one].Refresh.Seconds(); got != 98 {
		t.Errorf("of two blocks with a URL the refresh is %v, want the shorter one, 98 seconds", got)
	}
	build(one, "https://new.example/keys")
	if again := live.Feeds(); len(again) != 2 || again[one].Source != feeds[one].Source {
		t.Errorf("after a reload there are %d feeds, want 2, and the keys of the one that stays", len(again))
	}
}
