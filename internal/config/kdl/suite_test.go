package kdl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSuite runs a folder of foreign conformance cases when an environment
// variable names one: input/NAME.kdl, and in expected_kdl/NAME.kdl the same
// document in canonical form or nothing when it must be refused.
func TestSuite(t *testing.T) {
	for _, suite := range []struct {
		env     string
		version Version
	}{{"KDL_TEST_CASES", V2}, {"KDL_TEST_CASES_V1", V1}} {
		t.Run(suite.version.String(), func(t *testing.T) {
			dir := os.Getenv(suite.env)
			if dir == "" {
				t.Skipf("%s names no folder", suite.env)
			}
			inputs, err := filepath.Glob(filepath.Join(dir, "input", "*.kdl"))
			if err != nil || len(inputs) == 0 {
				t.Fatalf("no cases in %s (%v)", dir, err)
			}
			passed := 0
			for _, input := range inputs {
				want := filepath.Join(dir, "expected_kdl", filepath.Base(input))
				if runSuiteCase(t, input, want, suite.version) {
					passed++
				}
			}
			t.Logf("passed %d of %d", passed, len(inputs))
		})
	}
}

func runSuiteCase(t *testing.T, input, expected string, v Version) bool {
	src, err := os.ReadFile(input)
	if err != nil {
		t.Fatal(err)
	}
	doc, ds := Parse(filepath.Base(input), src, Options{Version: v})
	if got := string(doc.AppendText(nil)); got != string(src) {
		t.Errorf("%s: text changed to %q", input, got)
	}
	want, err := os.ReadFile(expected)
	if os.IsNotExist(err) {
		if !ds.HasErrors() {
			t.Errorf("%s: accepted %q as\n%s", input, src, canonical(doc))
		}
		return ds.HasErrors()
	}
	if ds.HasErrors() {
		t.Errorf("%s: refused %q\n%s", input, src, ds.AppendText(nil, func(string) []byte { return src }))
		return false
	}
	got := canonical(doc)
	if strings.TrimRight(got, "\n") != strings.TrimRight(string(want), "\n") {
		t.Errorf("%s: read %q as\n%s\nwant\n%s", input, src, got, want)
		return false
	}
	return true
}
