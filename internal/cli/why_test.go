package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sentinel/internal/dataplane/fault"
)

func TestWhy(t *testing.T) {
	for _, name := range []string{"upstream_refused", "U01", "u01", "UpstreamRefused", "upstream-refused"} {
		var b bytes.Buffer
		a := &app{out: &b}
		if err := a.why(name); err != nil || !strings.Contains(b.String(), "nothing listens on that port") || !strings.Contains(b.String(), "the client gets 502") {
			t.Errorf("why(%q) = %v with %q", name, err, &b)
		}
	}
	a := &app{out: new(bytes.Buffer)}
	if err := a.why("resolved"); err == nil || !strings.Contains(err.Error(), "upstream_name_unresolved") {
		t.Errorf("why(%q) = %v, want a hint", "resolved", err)
	}
}

// Every fault can be explained, and is in the list.
func TestWhyKnowsEveryFault(t *testing.T) {
	var list bytes.Buffer
	if err := (&app{out: &list}).listFaults(); err != nil {
		t.Fatal(err)
	}
	for k := range fault.All() {
		var b bytes.Buffer
		if err := (&app{out: &b}).why(k.String()); err != nil {
			t.Errorf("why(%v) = %v", k, err)
		}
		r := k.Row()
		for _, part := range append([]string{r.Code, r.Meaning, r.Remedy}, append(r.Causes, r.Commands...)...) {
			if part == "" || !strings.Contains(b.String(), part) {
				t.Errorf("why(%v) doesn't say %q", k, part)
			}
		}
		if !strings.Contains(list.String(), r.Label+" ") {
			t.Errorf("the list of faults lacks %v", k)
		}
	}
}

// TestFaultsPageIsCurrent compares docs/reference/faults.md with the table.
func TestFaultsPageIsCurrent(t *testing.T) {
	want := faultsPage()
	path := filepath.Join("..", "..", "docs", "reference", "faults.md")
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale, run go test ./internal/cli -update (-want +got):\n%s", path, diff)
	}
}

// faultsPage renders the reference of faults.
func faultsPage() []byte {
	var b bytes.Buffer
	b.WriteString("# Faults\n\nWhy a request wasn't served. Generated from the table of faults by `go test ./internal/cli -update`; don't edit. `sentinel why FAULT` prints the same.\n\n")
	b.WriteString("The label is the value of `fault` in metrics and logs, the code is what clients are told: C is for the client's side, U for an upstream, S for this proxy.\n")
	for _, side := range []fault.Side{fault.SideUpstream, fault.SideSelf, fault.SideClient} {
		fmt.Fprintf(&b, "\n## Side: %s\n", side)
		for k := range fault.All() {
			if r := k.Row(); r.Side == side {
				fmt.Fprintf(&b, "\n### %s (%s)\n\n%s %s.\n\nLikely: %s.\n\n%s\n\n```\n%s\n```\n", r.Label, r.Code, r.Meaning,
					strings.ToUpper(answered(r)[:1])+answered(r)[1:], strings.Join(r.Causes, "; "), r.Remedy, strings.Join(r.Commands, "\n"))
			}
		}
	}
	return b.Bytes()
}

// Who looks for a request in a flood is told that it may have been left out.
func TestNotKept(t *testing.T) {
	if err := notKept("x", map[string]uint64{"failed": 0}); strings.Contains(err.Error(), "too fast") {
		t.Errorf("notKept = %v, though nothing was left out", err)
	}
	if err := notKept("x", map[string]uint64{"failed": 7}); !strings.Contains(err.Error(), "7 that failed") {
		t.Errorf("notKept = %v, want how many were left out", err)
	}
}

// Each command of ours that the table names is one, with flags that there are.
func TestFaultCommandsExist(t *testing.T) {
	for k := range fault.All() {
		for _, text := range k.Row().Commands {
			words := strings.Fields(text)
			if words[0] != "sentinel" || strings.ContainsAny(text, "|'\"<>") {
				continue
			}
			cmd, rest, err := (&app{}).root().Find(words[1:])
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err == nil && cmd.Args != nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err != nil {
				t.Errorf("%v says %q: %v", k, text, err)
			}
		}
	}
}
