package schema

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// pendingInComplete are the keys and words of testdata/complete.kdl that this version
// refuses because it doesn't act on them yet.
var pendingInComplete []string

// TestCompleteFile checks that every node of a complete file is known: nothing but what
// isn't built yet is refused, and without that the file loads.
func TestCompleteFile(t *testing.T) {
	text, err := os.ReadFile("testdata/complete.kdl")
	if err != nil {
		t.Fatal(err)
	}
	version1 := strings.ReplaceAll(string(text), "#true", "true")
	for _, text := range []string{string(text), version1} {
		_, _, diags := LoadBytes("complete.kdl", []byte(text), Options{Env: noEnv})
		var pending []string
		for _, g := range diags {
			what, ok := strings.CutSuffix(g.Message, " is not built yet in this version")
			if !ok {
				t.Errorf("refused: %v", g)
			}
			pending = append(pending, what)
		}
		slices.Sort(pending)
		if !slices.Equal(pending, pendingInComplete) {
			t.Errorf("not built yet: %q, want %q", pending, pendingInComplete)
		}
	}
}
