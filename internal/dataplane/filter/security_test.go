package filter

import (
	"testing"

	"sentinel/internal/dataplane/message"
)

func TestSecurityOverTLS(t *testing.T) {
	s := NewSecurity([]SecurityField{
		{Name: "Strict-Transport-Security", Value: "max-age=7", Precedence: Replaces, TLSOnly: true}, {Name: "Referrer-Policy", Value: "origin"},
	}, nil)
	for _, c := range []struct {
		secure    bool
		own, want string
	}{
		{true, "", "Strict-Transport-Security: max-age=7\r\nReferrer-Policy: origin\r\n"},
		{false, "", "Referrer-Policy: origin\r\n"},
		{true, "referrer-policy: no-referrer\r\n", "referrer-policy: no-referrer\r\nStrict-Transport-Security: max-age=7\r\n"},
		{true, "strict-transport-security: max-age=1\r\n", "strict-transport-security: max-age=1\r\nReferrer-Policy: origin\r\n"},
	} {
		h := &message.Head{Extra: []byte(c.own)}
		s.Complete(h, c.secure)
		if got := string(h.Extra); got != c.want {
			t.Errorf("Complete(%q, %v) = %q, want %q", c.own, c.secure, got, c.want)
		}
		if c.own != "" {
			continue
		}
		h = &message.Head{}
		s.Apply(h, c.secure)
		if got := string(h.Extra); got != c.want {
			t.Errorf("Apply(%v) = %q, want %q", c.secure, got, c.want)
		}
	}
}

func TestStripLines(t *testing.T) {
	names := []string{"x-user", "x-role"}
	for in, want := range map[string]string{
		"":                          "",
		"X-User: a\r\n":             "",
		"x_user: a\r\nX-Sum: 1\r\n": "X-Sum: 1\r\n",
		"X-Sum: 1\r\nX-USER: a\r\nX_Role: b\r\nY: 2\r\n": "X-Sum: 1\r\nY: 2\r\n",
		"X-Users: a\r\n": "X-Users: a\r\n",
	} {
		if got := string(StripLines([]byte(in), names)); got != want {
			t.Errorf("StripLines(%q) = %q, want %q", in, got, want)
		}
	}
}
