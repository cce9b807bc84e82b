package schema

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const repository = "../../.."

// TestEveryKeyIsObserved checks that testdata/behaviours.txt names, for each key that this
// version acts on, a test that observes what it does, and that those tests exist.
func TestEveryKeyIsObserved(t *testing.T) {
	text, err := os.ReadFile("testdata/behaviours.txt")
	if err != nil {
		t.Fatal(err)
	}
	observed := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		if i < 0 {
			t.Errorf("behaviours.txt: %q is no key and test", line)
			continue
		}
		observed[strings.TrimSpace(line[:i])] = line[i+1:]
	}
	tests, built := testNames(t), builtKeys()
	for id := range built {
		if test := observed[id]; test == "" {
			t.Errorf("%s is accepted, but no test is named that observes it", id)
		} else if !tests[test] {
			t.Errorf("%s is observed by %s, which doesn't exist", id, test)
		}
	}
	for id := range observed {
		if !built[id] {
			t.Errorf("behaviours.txt names %s, which is no key that is acted on", id)
		}
	}
}

// builtKeys returns the keys that can be reached without passing one that isn't built.
func builtKeys() map[string]bool {
	built := make(map[string]bool)
	seen := make(map[string]bool)
	var visit func(block string)
	visit = func(block string) {
		if seen[block] {
			return
		}
		seen[block] = true
		for _, k := range table()[block].rows {
			if k.Pending {
				continue
			}
			built[k.ID()] = true
			if k.Kind == Opens {
				visit(k.Opens)
			}
		}
	}
	visit("")
	return built
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names, function := make(map[string]bool), regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, root := range []string{"internal", "test"} {
		err := filepath.WalkDir(filepath.Join(repository, root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range function.FindAllSubmatch(text, -1) {
				names[filepath.Base(filepath.Dir(path))+"."+string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// TestPendingKeysAreRefused checks that each key that isn't built says so in every block.
func TestPendingKeysAreRefused(t *testing.T) {
	wrap := map[string]string{
		"": "KEY\n", "listener": `listeners { listener "l" { address ":80"; KEY } }`, "route": `routes { route "r" { upstream "u"; KEY } }`,
		"upstream": `upstreams { upstream "u" { target "h:1"; KEY } }`, "policies": `policies { KEY }`,
		"target": `upstreams { upstream "u" { target { KEY } } }`, "system": `system { KEY }`,
		"retry-policy": `routes { route "r" { upstream "u"; retry-policy { KEY } } }`,
	}
	n := 0
	for _, k := range Keys() {
		if !k.Pending {
			continue
		}
		n++
		around, ok := wrap[k.Block]
		if !ok {
			t.Errorf("no way to write %s", k.ID())
			continue
		}
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			_, _, diags := LoadBytes("config.kdl", []byte(strings.Replace(around, "KEY", name, 1)), Options{Env: noEnv})
			said := false
			for _, d := range diags {
				said = said || strings.Contains(d.Message, name+" is not built yet") && d.Span.Start.Line == 1
			}
			if !said {
				t.Errorf("%s says %v, want that it is not built yet", k.ID(), diags)
			}
		}
	}
	if n == 0 {
		t.Log("every key is built")
	}
}
