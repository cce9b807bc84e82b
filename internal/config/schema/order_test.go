package schema

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDiffTellsOrder checks that a change of order is told of where it decides.
func TestDiffTellsOrder(t *testing.T) {
	routes := func(texts ...string) *Config {
		return load(t, `listeners { listener "l" { address ":80" } }
upstreams { upstream "u" { target "h:1" } }
routes { `+strings.Join(texts, "\n")+" }")
	}
	for _, tt := range []struct {
		name, a, b string
		told       bool
	}{
		{"same path, other conditions", `matches { path "/x"; header "A" }`, `matches { path "/x"; query "q" }`, true},
		{"prefix with and without slash", `matches { path-prefix "/x/"; header "A" }`, `matches { path-prefix "/x"; header "B" }`, true},
		{"prefix / is no condition", `matches { path-prefix "/"; header "A" }`, `matches { header "B" }`, true},
		{"one of several hosts", `matches { host "a.example" "b.example"; header "A" }`, `matches { host "B.example"; header "B" }`, true},
		{"regular expressions", `matches { path-regex "^/a" }`, `matches { path-regex "b$" }`, true},
		{"methods that overlap", `matches { method "GET" "PUT" }`, `matches { method "PUT" }`, true},
		{"methods that don't", `matches { method "GET" }`, `matches { method "PUT" }`, false},
		{"other path", `matches { path "/x" }`, `matches { path "/y" }`, false},
		{"path and prefix", `matches { path "/x" }`, `matches { path-prefix "/x" }`, false},
		{"other host", `matches { host "a.example"; header "A" }`, `matches { host "b.example"; header "B" }`, false},
		{"more conditions", `matches { path "/x"; header "A"; header "B" }`, `matches { path "/x"; header "C" }`, false},
		{"priority", `matches { header "A" }; priority 1`, `matches { header "B" }`, false},
	} {
		a, b := `route "a" { upstream "u"; `+tt.a+` }`, `route "b" { upstream "u"; `+tt.b+` }`
		var want []string
		if tt.told {
			want = []string{`route "b" now comes before route "a", which may take the same requests`}
		}
		if got := Diff(routes(a, b), routes(b, a)); !slices.Equal(got, want) {
			t.Errorf("%s: Diff = %q, want %q", tt.name, got, want)
		}
		if got := Diff(routes(a, b), routes(a, b)); len(got) > 0 {
			t.Errorf("%s: Diff of the same = %q", tt.name, got)
		}
	}
	x, y, z := `route "x" { upstream "u"; matches { header "X" } }`, `route "y" { upstream "u"; matches { header "Y" } }`, `route "z" { upstream "u"; matches { header "Z" } }`
	got := Diff(routes(x, y), routes(z, y, x))
	want := []string{`route "y" now comes before route "x", which may take the same requests`, `route "z" is new`}
	if !slices.Equal(got, want) {
		t.Errorf("Diff with a new route = %q, want %q", got, want)
	}
}

// TestVariablesAreThoseOfTheFilter checks the list of variables against the one that fills
// them in, which this package must not import.
func TestVariablesAreThoseOfTheFilter(t *testing.T) {
	text, err := os.ReadFile(repository + "/internal/dataplane/filter/template.go")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, m := range regexp.MustCompile(`case "([a-z_]+)":\s+return var`).FindAllStringSubmatch(string(text), -1) {
		known = append(known, m[1])
	}
	want := Variables()
	slices.Sort(known)
	slices.Sort(want)
	if !slices.Equal(known, want) {
		t.Errorf("the filter fills in %q, want %q", known, want)
	}
}
