package override

import (
	"strings"
	"testing"

	"sentinel/internal/config/kdl"
	"sentinel/internal/control/admin"
)

// FuzzFragment checks that no name, key or value breaks out of its place: what an override says
// is one node with the names and values that were asked for.
func FuzzFragment(f *testing.F) {
	f.Add(uint8(0), "", "max-connections", "5000")
	f.Add(uint8(1), "a\"b", "key", "header:X } limits { max-connections 1")
	f.Add(uint8(4), "${HOME}\\\n", "status", "503; x 1")
	f.Add(uint8(5), "r", "use-fallback", "#true")
	f.Fuzz(func(t *testing.T, which uint8, route, key, value string) {
		kinds := admin.OverrideKinds()
		o := &admin.Override{ID: 7, Kind: kinds[int(which)%len(kinds)], Route: strings.ToValidUTF8(route, ""), Settings: []admin.Setting{{Key: key, Value: strings.ToValidUTF8(value, "")}}}
		text, err := fragment(o)
		if err != nil {
			return
		}
		Words(o)
		doc, diags := kdl.Parse("override", []byte(text), kdl.Options{Version: kdl.V2})
		if diags.HasErrors() || len(doc.Nodes) != 1 {
			t.Fatalf("%q: %v", text, diags)
		}
		nodes := doc.Nodes
		if o.Route != "" {
			route := nodes[0].Children[0]
			if got := unescaped(route.Arg(0)); got != o.Route || len(nodes[0].Children) != 1 {
				t.Fatalf("%q is about the route %q, want %q", text, got, o.Route)
			}
			nodes = route.Children
		}
		if k, _ := kindOf(o.Kind); k.block != "" {
			if len(nodes) != 1 {
				t.Fatalf("%q holds %d blocks", text, len(nodes))
			}
			nodes = nodes[0].Children
		}
		if nodes[0].Name.Text != key || len(nodes) > 2 {
			t.Fatalf("%q sets %q among %d, want %q", text, nodes[0].Name.Text, len(nodes), key)
		}
		if a := nodes[0].Arg(0); a.Value.Kind == kdl.String && unescaped(a) != o.Settings[0].Value {
			t.Fatalf("%q is the value %q, want %q", text, unescaped(a), o.Settings[0].Value)
		}
	})
}

// unescaped returns the text of a value as the configuration takes it.
func unescaped(e *kdl.Entry) string { return strings.ReplaceAll(e.Value.Text, "$${", "${") }
