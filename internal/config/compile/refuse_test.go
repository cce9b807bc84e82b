package compile

import (
	"strings"
	"testing"

	"sentinel/internal/config/schema"
)

// TestRefusesWhatRequestsWouldMeet checks that what could only fail at a request is
// refused, at its place in the text.
func TestRefusesWhatRequestsWouldMeet(t *testing.T) {
	const head = `listeners { listener "l" { address "127.0.0.1:80" } }
upstreams { upstream "u" { target "127.0.0.1:1" } }
`
	tests := []struct{ route, want string }{
		{`matches { host "a..b" }; upstream "u"`, "empty label"},
		{`matches { host "[0:0::1]" }; upstream "u"`, "clients write it as"},
		{`matches { path "/a%2" }; upstream "u"`, "malformed percent-escape"},
		{`matches { path-prefix "/..;" }; upstream "u"`, "disguised dot segment"},
		{`rewrite { path-regex "^/(a)" "/$1x" }; upstream "u"`, `no submatch "1x"`},
		{`rewrite { path-regex "^/(a)" "/$1?x" }; upstream "u"`, "a path can't hold"},
		{`rewrite { replace-prefix "/a" "/%zz" }; upstream "u"`, "malformed percent-escape"},
		{`redirect "https://a.example${header:X}"`, "only ${host}"},
		{`policies { request-headers { remove "Transfer_Encoding" } }; upstream "u"`, "can't be edited"},
	}
	for _, tt := range tests {
		text := head + "routes { route \"r\" { " + tt.route + " } }\n"
		got := refusal(t, text)
		if !strings.Contains(got, tt.want) || !strings.Contains(got, "config.kdl:3:") {
			t.Errorf("%s: refused with %q, want %q in line 3", tt.route, got, tt.want)
		}
	}
}

// refusal returns what reading or compiling text complains of.
func refusal(t *testing.T, text string) string {
	t.Helper()
	c, _, diags := schema.LoadBytes("config.kdl", []byte(text), schema.Options{})
	if !diags.HasErrors() {
		_, _, diags = Build(c, newLive(t), nil)
	}
	return string(diags.AppendText(nil, func(string) []byte { return []byte(text) }))
}
