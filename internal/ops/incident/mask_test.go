package incident

import (
	"strings"
	"testing"
)

func TestMaskConfig(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`rate-limit-store "redis" { url "redis://bob:hunter2@10.0.0.1:6379/0"; password-file "/etc/pw" }`, `rate-limit-store "redis" { url "redis://***@10.0.0.1:6379/0"; password-file "/etc/pw" }`},
		{`request-headers { set { "Authorization" "Bearer hunter2"; "X-Api-Key" "hunter2"; "X-Other" "seen" } }`, `request-headers { set { "Authorization" "***"; "X-Api-Key" "***"; "X-Other" "seen" } }`},
		{`a { password "hunter2" } // old: password "hunter2"`, `a { password "***" } // old: password "***"`},
		{`/- a { password "hunter2" }` + "\nb 1", `/- a { password "***" }` + "\nb 1"},
		{`redirect "https://x/?token=hunter2&b=1"`, `redirect "https://x/?token=***&b=1"`},
		{`dns-webhook { token-file "/t"; url "https://a/" }`, `dns-webhook { token-file "/t"; url "https://a/" }`},
		{`a { token="hunter2" b`, `a { token="***" b`}, // can't be parsed
		{`route "tokens" { upstream "secret-service" }`, `route "tokens" { upstream "secret-service" }`},
		{`set "Cookie" "hunter2"; remove "Cookie"`, `set "Cookie" "***"; remove "Cookie"`},
	} {
		if got := string(MaskConfig("f", []byte(c.in))); got != c.want {
			t.Errorf("MaskConfig(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzMaskConfig(f *testing.F) {
	f.Add(`a { password "hunter2" }`)
	f.Fuzz(func(t *testing.T, text string) {
		got := MaskConfig("f", []byte(text))
		again := MaskConfig("f", got)
		if string(again) != string(got) {
			t.Errorf("MaskConfig(%q) = %q, and masked again %q", text, got, again)
		}
		if strings.Contains(text, `password "hunter2"`) && strings.Count(text, "hunter2") == 1 && strings.Contains(string(got), "hunter2") {
			t.Errorf("MaskConfig(%q) = %q holds the secret", text, got)
		}
	})
}
