package schema

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

const accessText = `listeners { listener "l" { address ":80"; access { deny-file "lists/deny.txt"; allow "::ffff:192.0.2.0/120" } } }
access { deny "192.0.2.7" "2001:db8::1/32" }
include "sub/routes.kdl"
`

// Files are found from the file that names them; what they list joins the keys.
func TestAccessFiles(t *testing.T) {
	files := fstest.MapFS{
		"etc/config.kdl":      {Data: []byte(accessText)},
		"etc/sub/routes.kdl":  {Data: []byte(`routes { route "r" { respond 200; access { allow "10.0.0.1"; allow-file "mine.txt"; allow-file "../lists/empty.txt" } } }`)},
		"etc/sub/mine.txt":    {Data: []byte("10.1.2.3/16 # rounded\r\n\r\n\t::1\n#\n::ffff:10.2.0.1")},
		"etc/lists/deny.txt":  {Data: []byte("198.51.100.0/24")},
		"etc/lists/empty.txt": {Data: []byte("# nobody\n")},
	}
	c, _, diags := Load("etc/config.kdl", Options{Files: files, Env: noEnv})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, x := range []struct {
		name string
		a    *Access
		want string
	}{
		{"top level", c.Access, "[] true [192.0.2.7/32 2001:db8::/32]"},
		{"listener", c.Listeners[0].Access, "[::ffff:192.0.2.0/120] false [198.51.100.0/24]"},
		{"route", c.Routes[0].Access, "[10.0.0.1/32 10.1.0.0/16 ::1/128 10.2.0.1/32] false []"},
	} {
		if got := fmt.Sprint(x.a.Allowed, x.a.Allowed == nil, x.a.Denied); got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
	files["etc/sub/routes.kdl"] = &fstest.MapFile{Data: []byte(`routes { route "r" { respond 200; access { allow-file "../lists/empty.txt" } } }`)}
	if c, _, _ = Load("etc/config.kdl", Options{Files: files, Env: noEnv}); c.Routes[0].Access.Allowed == nil {
		t.Error("an empty file of allow lets everybody in")
	}
	if shown := string(Show(c)); !strings.Contains(shown, `allow-file "etc/lists/empty.txt"`) || !strings.Contains(shown, `deny "2001:db8::/32"`) {
		t.Errorf("Show() lacks the lists:\n%s", shown)
	}
}

// A file with many mistakes is no reason for as many messages.
func TestAccessFileProblemsAreBounded(t *testing.T) {
	files := fstest.MapFS{
		"c.kdl": {Data: []byte(`listeners { listener "l" { address ":80"; access { deny-file "d" } } }`)},
		"d":     {Data: []byte(strings.Repeat("x\n", 1000))},
	}
	_, _, diags := Load("c.kdl", Options{Files: files, Env: noEnv})
	if len(diags) != accessProblemsMax || !strings.HasPrefix(diags[1].String(), "d:2:1: error: ") {
		t.Errorf("%d problems, the second one %v; want %d with their lines", len(diags), diags[1], accessProblemsMax)
	}
}
