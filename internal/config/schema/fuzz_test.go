package schema

import (
	"testing"
	"testing/fstest"
)

// FuzzLoadBytes checks that no text makes LoadBytes panic, and that what it accepts is
// shown as something that it accepts.
func FuzzLoadBytes(f *testing.F) {
	for _, text := range []string{base, full, "a (b)c {", "limits 1 2", "routes { route { matches { header } } }"} {
		f.Add([]byte(text))
	}
	files := fstest.MapFS{"a.kdl": {Data: []byte("limits { max-connections 5 }\ninclude \"?.kdl\"\n")}, "b.kdl": {Data: []byte(base)}}
	f.Add([]byte("include \"a.kdl\"\ninclude \"b.kdl\" optional=#true"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, _, diags := LoadBytes("config.kdl", text, Options{Env: noEnv, Files: files})
		if diags.HasErrors() {
			return
		}
		shown := Show(c)
		_, sources, diags := LoadBytes("shown.kdl", shown, Options{Env: noEnv})
		if diags.HasErrors() {
			t.Errorf("what Show prints is refused:\n%s\n%s", diags.AppendText(nil, sources.Text), shown)
		}
	})
}
