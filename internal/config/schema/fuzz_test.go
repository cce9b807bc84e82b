package schema

import (
	"testing"
	"testing/fstest"
)

// FuzzLoadBytes checks that no text makes LoadBytes panic, and that what it accepts is
// shown as something that it accepts and that says the same.
func FuzzLoadBytes(f *testing.F) {
	for _, text := range []string{base, full, surviving, "a (b)c {", "limits 1 2", "routes { route { matches { header } } }"} {
		f.Add([]byte(text))
	}
	files := fstest.MapFS{"a.kdl": {Data: []byte("limits { max-connections 5 }\ninclude \"?.kdl\"\n")}, "b.kdl": {Data: []byte(base)}}
	f.Add([]byte("include \"a.kdl\"\ninclude \"b.kdl\" optional=#true"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, unbuilt := range []bool{false, true} {
			c, _, diags := LoadBytes("config.kdl", text, Options{Env: noEnv, Files: files, unbuilt: unbuilt})
			if diags.HasErrors() {
				continue
			}
			shown := Show(c)
			again, sources, diags := LoadBytes("shown.kdl", shown, Options{Env: noEnv, unbuilt: unbuilt})
			if diags.HasErrors() {
				t.Errorf("what Show prints is refused:\n%s\n%s", diags.AppendText(nil, sources.Text), shown)
			} else if d := Diff(c, again); len(d) > 0 {
				t.Errorf("what Show prints differs: %q\n%s", d, shown)
			}
		}
	})
}
