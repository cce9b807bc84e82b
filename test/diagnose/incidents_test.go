package diagnose

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// incident is one that is planted.
type incident struct {
	name  string
	plant func(w *world)
	// What must come first.
	code, severity string
	evidence       string               // a regular expression that a line of it matches
	also           string               // a code that must be among the others
	mend           func(*world, report) // runs what was told; nil where that isn't practical
}

func TestIncidents(t *testing.T) {
	for _, list := range [][]incident{deaths(), changes(), certificates(), upstreams(), limits(), machine()} {
		for _, c := range list {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				c.plant(w)
				r := w.diagnose()
				c.check(w, r)
				w.checkCommands(r)
				if c.mend != nil && !t.Failed() {
					c.mend(w, r)
				}
			})
		}
	}
}

func (c *incident) check(w *world, r report) {
	w.Helper()
	if len(r.Findings) == 0 {
		w.Fatalf("nothing was found: %s", r)
	}
	first := r.Findings[0]
	if first.Code != c.code || first.Severity != c.severity || r.Verdict != first.What {
		w.Errorf("first comes %s %s, want %s %s:\n%s", first.Severity, first.Code, c.severity, c.code, r)
	}
	if !regexp.MustCompile(c.evidence).MatchString(first.What + "\n" + strings.Join(first.Evidence, "\n")) {
		w.Errorf("the evidence doesn't match %s:\n%s", c.evidence, r)
	}
	if c.also != "" && !slices.ContainsFunc(r.Findings, func(f finding) bool { return f.Code == c.also }) {
		w.Errorf("%s isn't found beside it:\n%s", c.also, r)
	}
}
