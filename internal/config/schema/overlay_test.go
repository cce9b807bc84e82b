package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const laidUnder = `// the site
limits { max-connections 9000; max-body-size "1MB" } // as measured
timeouts request-secs=20
security { challenge-mode "disabled"; challenge-threshold 50 }
rate-limit { requests-per-second 100 }
listeners {
    listener "l" { address "127.0.0.1:8080"; limits { max-connections-per-client 70 } }
}
routes {
    // the application
    route "api" {
        matches { path-prefix "/api/" }
        upstream "a" // the new one
        fallback-upstream "b"
        timeouts { request-secs 5 }
        rate-limit { requests-per-second 10 }
    }
    route "rest" { upstream "a" }
    route "off" { matches { path "/off" }; upstream "a"; disabled 404 }
}
upstreams {
    upstream "a" { target "127.0.0.1:1"; timeouts { read-secs 3 } }
    upstream "b" { target "127.0.0.1:2" }
}
`

// laid loads a text with overlays.
func laid(text string, overlays ...string) (*Config, *Sources, error) {
	list := make([]*Overlay, len(overlays))
	for i, o := range overlays {
		list[i] = &Overlay{Name: fmt.Sprint("override ", i+1), Text: []byte(o), Story: func() string { return fmt.Sprintf("override %d of x", i+1) }}
	}
	c, s, diags := LoadBytes("config.kdl", []byte(text), Options{Env: noEnv, Overlays: func(dir string) []*Overlay {
		if dir != "/var/lib/sentinel" {
			panic(dir)
		}
		return list
	}})
	if diags.HasErrors() {
		return nil, s, fmt.Errorf("%s", diags.AppendText(nil, s.Text))
	}
	return c, s, nil
}

// overlays are one of each kind of change.
var overlays = []string{
	`limits { max-connections 5000; max-connections-per-client 50; max-body-size "2MB" }`,
	`listeners { listener "l" { limits { max-connections-per-client 60; max-concurrent-requests 7 } } }`,
	`timeouts { request-secs 60; read-secs 30 }`,
	`routes { route "api" { timeouts { request-secs 60.5 } } }`,
	`routes { route "rest" { timeouts { read-secs 2 } } }`,
	`upstreams { upstream "a" { timeouts { read-secs 9; connect-secs 1 } } }`,
	`security { challenge-mode "always"; challenge-threshold 200 }`,
	`routes { route "api" { security { challenge-mode "enabled" } } }`,
	`listeners { listener "l" { security { challenge-mode "enabled"; difficulty 9 } } }`,
	`rate-limit "emergency-1" { requests-per-second 5; additional #true }`,
	`routes { route "api" { rate-limit "emergency-2" { requests-per-minute 5; key "client_ip" "path"; additional #true } } }`,
	`listeners { listener "l" { rate-limit "emergency-3" { requests-per-second 5; additional #true } } }`,
	`routes { route "api" { disabled { status 503; retry-after-secs 60 } } }`,
	`routes { route "off" { disabled { status 503; retry-after-secs 60 } } }`,
	`routes { route "api" { use-fallback #true } }`,
	`routes { route "rest" { fallback-upstream "b"; use-fallback #true } }`,
}

func TestOverlay(t *testing.T) {
	c, s, err := laid(laidUnder, overlays...)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Laid) != len(overlays) {
		t.Errorf("%d overlays laid, want %d", len(s.Laid), len(overlays))
	}
	shown := string(Show(c))
	for _, want := range []string{
		"max-connections 5000 // override 1 of x",
		"max-connections-per-client 50 // override 1 of x",
		"max-body-size 1000000 // config.kdl:2:",
		"max-concurrent-requests 7 // override 2 of x",
		"/- max-connections 5000 // inherited from top level: override 1 of x",
		"request-secs 60 // override 3 of x",
		"request-secs 60.5 // override 4 of x",
		`challenge-mode "always" // override 7 of x`,
		`rate-limit "emergency-1" {`,
		"requests-per-second 10 // config.kdl:16:",
		"status 503 // override 14 of x",
		`fallback-upstream "b" // override 16 of x`,
		"use-fallback #true // override 16 of x",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, shown)
		}
	}
}

func TestOverlayRefused(t *testing.T) {
	for _, c := range []struct{ overlay, want string }{
		{`limits { max-conections 5 }`, `override 1:1:10: error: unknown key "max-conections"`},
		{`routes { route "rest" { use-fallback #true } }`, "use-fallback has no effect"},
		{`routes { route "rest" { fallback-upstream "z" } }`, `override 1:1:43: error: there is no upstream "z"`},
		{`routes { route "rest" { fallback-upstream "a" } }`, "uses anyway"},
		{`timeouts { request-secs -1 }`, "override 1:1:25"},
	} {
		if _, _, err := laid(laidUnder, c.overlay); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.overlay, err, c.want)
		}
	}
	_, s, err := laid(laidUnder, `routes { route "gone" { disabled } }`)
	if err != nil || s.Laid[0].Gone != `route "gone"` {
		t.Errorf("an overlay whose route is gone: %v, %+v", err, s.Laid)
	}
	_, s, err = laid("limits { ", overlays[0])
	if err == nil || len(s.Laid) > 0 {
		t.Errorf("a broken file with an overlay: %v", err)
	}
}

// committed commits overlays one by one, and fails unless the text then means the same.
func committed(t interface{ Fatalf(string, ...any) }, text string, changes ...string) string {
	for i, o := range changes {
		base, s, err := laid(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		with, _, err := laid(text, o)
		if err != nil {
			t.Fatalf("%s: %v\n%s", o, err, text)
		}
		changed, err := Commit(base, s, &Overlay{Name: "override", Text: []byte(o)})
		if err != nil {
			t.Fatalf("Commit(%s): %v\n%s", o, err, text)
		}
		next := text
		if b, ok := changed["config.kdl"]; ok {
			next = string(b)
		}
		by, _, err := laid(next)
		if err != nil {
			t.Fatalf("%d %s: %v\n%s", i, o, err, next)
		}
		if d := Diff(with, by); len(d) > 0 {
			t.Fatalf("%s: committed, it means something else: %q\n%s", o, d, next)
		}
		text = next
	}
	return text
}

// TestCommit compares what all kinds of changes leave in a file with testdata/committed.kdl.
func TestCommit(t *testing.T) {
	got := committed(t, laidUnder, overlays...)
	golden := filepath.Join("testdata", "committed.kdl")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("%v; committed:\n%s\nwant:\n%s", err, got, want)
	}
}

// TestCommitIsTheSame commits any changes in any order to files that are laid out in any way.
func TestCommitIsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := laidUnder
		for _, r := range []struct{ old, new string }{
			{"limits { max-connections 9000; max-body-size \"1MB\" } // as measured\n", ""},
			{"timeouts request-secs=20\n", "timeouts {\n    /* slow */ request 20\n}\n"},
			{"security {", "limits { mode \"shadow\"; max-connections 40 }\nlimits { max-connections 3000 }\nsecurity {"},
			{"disabled 404", "disabled {\n        status 404 // for good\n    }"},
			{"upstream \"a\" // the new one", "split { upstream \"a\"; upstream \"b\" weight=2 }"},
			{"routes {\n", "routes {\n\n\n"},
			{"timeouts { read-secs 3 }", "timeouts {}"},
			{"\n", "\r\n"},
		} {
			if rapid.Bool().Draw(rt, "rewritten") {
				text = strings.ReplaceAll(text, r.old, r.new)
			}
		}
		n := rapid.IntRange(1, 5).Draw(rt, "n")
		var changes []string
		for range n {
			changes = append(changes, rapid.SampledFrom(overlays).Draw(rt, "change"))
		}
		committed(rt, text, changes...)
	})
}
