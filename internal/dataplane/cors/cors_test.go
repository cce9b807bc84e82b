package cors

import (
	"net/url"
	"strings"
	"testing"
)

func TestAllows(t *testing.T) {
	p := New(Options{Origins: []string{"https://app.example.com", "http://localhost:3000", "https://*.example.org", "https://*.example.net:8443"}})
	for origin, want := range map[string]bool{
		"https://app.example.com": true, "HTTPS://APP.example.com": true, "https://app.example.com:443": false, "http://app.example.com": false,
		"https://app.example.com.": false, "https://app.example.comm": false, "": false, "null": false, "*": false,
		"http://localhost:3000": true, "http://localhost": false,
		"https://a.example.org": true, "https://a-1.b_2.example.org": true, "https://example.org": false, "https://.example.org": false,
		"https://a..example.org": false, "https://.a.example.org": false, "http://a.example.org": false, "https://a@b.example.org": false, "https://evil.example/.example.org": false,
		"https://a.example.org.evil": false, "https://a.example.net:8443": true, "https://a.example.net": false, "https://a\x00.example.org": false,
	} {
		if got := p.Allows([]byte(origin)); got != want {
			t.Errorf("Allows(%q) = %v, want %v", origin, got, want)
		}
	}
	if !p.Varies() || New(Options{Origins: []string{"*"}}).Varies() {
		t.Error("Varies: an exact origin varies, everybody doesn't")
	}
}

func TestAllowsDoesNotAllocate(t *testing.T) {
	p := New(Options{Origins: []string{"https://app.example.com", "https://*.example.org"}})
	origin, dst := []byte("https://a.example.org"), make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() {
		if p.Allows(origin) && p.AllowsRequest([]byte("GET"), nil) {
			dst = p.AppendActual(dst[:0], origin)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAllows checks wildcards against a parser of URLs: whatever is let in is an https origin
// below the name, and nothing more.
func FuzzAllows(f *testing.F) {
	for _, s := range []string{"https://a.example.org", "https://example.org", "https://evil/.example.org", "https://a:b@c.example.org", "https://a#.example.org"} {
		f.Add(s)
	}
	p := New(Options{Origins: []string{"https://*.example.org"}})
	f.Fuzz(func(t *testing.T, origin string) {
		if !p.Allows([]byte(origin)) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" ||
			!strings.HasSuffix(strings.ToLower(u.Hostname()), ".example.org") || u.Port() != "" {
			t.Errorf("Allows(%q), which is %+v, %v", origin, u, err)
		}
	})
}
