package filter

import (
	"regexp"
	"testing"
)

func TestRewrite(t *testing.T) {
	re := regexp.MustCompile
	tests := []struct {
		name       string
		rewrite    *Rewrite
		path, want string
	}{
		{"strip", StripPrefix("/api"), "/api/x", "/x"},
		{"strip with slash", StripPrefix("/api/"), "/api/x/", "/x/"},
		{"strip all", StripPrefix("/api"), "/api", "/"},
		{"strip to slash", StripPrefix("/api"), "/api/", "/"},
		{"strip part of a segment", StripPrefix("/api"), "/apix", "/apix"},
		{"strip another", StripPrefix("/api"), "/x/api", "/x/api"},
		{"strip root", StripPrefix("/"), "/x", "/x"},
		{"strip without slash", StripPrefix("api"), "/api/x", "/x"},
		{"replace", ReplacePrefix("/api", "/v2"), "/api/x", "/v2/x"},
		{"replace with slashes", ReplacePrefix("/api/", "/v2/"), "/api/x", "/v2/x"},
		{"replace whole", ReplacePrefix("/api", "/v2"), "/api", "/v2"},
		{"replace by root", ReplacePrefix("/api", "/"), "/api", "/"},
		{"replace root", ReplacePrefix("/", "/v2"), "/x", "/v2/x"},
		{"replace nothing", ReplacePrefix("/api", "/v2"), "/apix", "/apix"},
		{"regexp", ReplaceRegexp(re(`^/u/(\d+)/(?P<p>.*)$`), "/${p}/of/$1"), "/u/7/cat", "/cat/of/7"},
		{"regexp every match", ReplaceRegexp(re("a"), "b"), "/aXa", "/bXb"},
		{"regexp without match", ReplaceRegexp(re("^/u$"), "/v"), "/x", "/x"},
		{"regexp to nothing", ReplaceRegexp(re(".*"), ""), "/x", "/"},
		{"regexp without slash", ReplaceRegexp(re("^/"), ""), "/x", "/x"},
		{"set", SetPath("/fixed"), "/x", "/fixed"},
		{"set without slash", SetPath(""), "/x", "/"},
	}
	for _, tt := range tests {
		path := []byte(tt.path)
		got := tt.rewrite.Apply([]byte("old"), path)
		if string(got) != tt.want {
			t.Errorf("%s: Apply(%q) = %q, want %q", tt.name, tt.path, got, tt.want)
		}
		clear(got)
		if string(path) != tt.path {
			t.Errorf("%s: Apply(%q) shares memory with the path", tt.name, tt.path)
		}
	}
}

func TestRewriteCheck(t *testing.T) {
	re := regexp.MustCompile(`^/u/(\d+)/(?P<p>.*)$`)
	tests := []struct {
		rewrite *Rewrite
		want    bool
	}{
		{StripPrefix("/a"), true},
		{SetPath("/x"), true},
		{SetPath("/x?y=1"), false},
		{SetPath("/x#y"), false},
		{SetPath("/x y"), false},
		{ReplacePrefix("/a", "/b\n"), false},
		{ReplacePrefix("/a", "/b?"), false},
		{ReplacePrefix("/a", "/$9"), true},
		{ReplaceRegexp(re, "/$1/${p}/$p/$0/$2"), true},
		{ReplaceRegexp(re, "/${1}x"), true},
		{ReplaceRegexp(re, "/$1x"), false},
		{ReplaceRegexp(re, "/$1_"), false},
		{ReplaceRegexp(re, "/$3"), false},
		{ReplaceRegexp(re, "/${q}"), false},
		{ReplaceRegexp(re, "/$$9/$/${/${ä}$"), true},
		{ReplaceRegexp(re, "/$$$9"), false},
		{ReplaceRegexp(re, "/${$9}"), false},
		{ReplaceRegexp(re, "/$1?x"), false},
	}
	for _, tt := range tests {
		if err := tt.rewrite.Check(); (err == nil) != tt.want {
			t.Errorf("Check of the rewrite to %q = %v, want success %v", tt.rewrite.to, err, tt.want)
		}
	}
}

func TestRewriteAllocatesNothing(t *testing.T) {
	dst, path := make([]byte, 0, 64), []byte("/api/x")
	rewrites := []*Rewrite{
		StripPrefix("/api"), ReplacePrefix("/api", "/v2"), SetPath("/y"),
		ReplaceRegexp(regexp.MustCompile("^/other"), "/"),
	}
	for i, r := range rewrites {
		if n := testing.AllocsPerRun(100, func() { r.Apply(dst, path) }); n != 0 {
			t.Errorf("Apply of rewrite %d allocates %v times, want 0", i, n)
		}
	}
}

func TestRedirect(t *testing.T) {
	tests := []struct{ location, path, want string }{
		{"https://${host}${path}?${query}", "/p", "https://a.example/p?q=1"},
		{"https://new.example/", "/p", "https://new.example/"},
		{"/new${path}", "//p", "/new//p"},
		{"${path}", "/p", "/p"},
		{"${path}", "//evil.example", "/evil.example"},
		{"${path}", `/\evil.example`, "/evil.example"},
		{"/${path}", "/evil.example", "/evil.example"},
		{"//${host}${path}", "/p", "//a.example/p"},
		{"/", "/p", "/"},
		{"https://a.example${path}", "/\"<>\\ \xc3\xa4^`{|}'%41\x7f\n", "https://a.example/%22%3C%3E%5C%20%C3%A4%5E%60%7B%7C%7D'%41"},
		{"/ä${path}", "/p", "/%C3%A4/p"},
		{"${path}", `\\\a\b`, `/a%5Cb`},
		{"/x?y=${header:x-evil}", "/p", "/x?y=@evil.example/%20%22%3C%C3%A4"},
	}
	for _, tt := range tests {
		r, err := NewRedirect(308, tt.location)
		if err != nil || r.Status() != 308 {
			t.Errorf("NewRedirect(308, %q) = %v, %v", tt.location, r, err)
			continue
		}
		v := someVars()
		v.Path = []byte(tt.path)
		v.Head = headOf([2]string{"X-Evil", `@evil.example/ "<ä`})
		if got := string(r.AppendLocation([]byte("//"), v)); got != "//"+tt.want {
			t.Errorf("NewRedirect(308, %q).AppendLocation with path %q = %q, want %q", tt.location, tt.path, got, "//"+tt.want)
		}
	}
}

func TestRedirectKeepsTheHost(t *testing.T) {
	for location, want := range map[string]bool{
		"https://${host}/": true, "${scheme}://${host}${path}?${query}": true, "https://a.example:8443${path}": true,
		"https://www.${host}:8443/x/${header:X}": true, "//${host}/${header:X}": true, "/x${header:X}": true,
		"?${query}": true, "#${header:X}": true, "x/${header:X}": true, "x": true, "mailto:a@b.example": true,
		"https://a.example?${query}": true, "https://a.example/": true, "/${header:X}": true,
		"https://a.example${header:X}": false, "https://${header:X}/": false, "//${header:X}": false,
		"https://${path}": false, "https:///${path}": false, "https:///${header:X}": false, `\\${path}`: false,
		"https:/${path}": false, "https:${path}": false, "${header:X}": false, "${host}/x": false,
		"x${header:X}": false, "http${header:X}": false, "${scheme}${path}": false, "${scheme}:${path}": false,
		"?${query}${header:X}": false, "https://a.example?${query}${header:X}": false, "${scheme}://": false,
		"https://${host}${method}": false, "https://a.example${request_id}": false, "${query}": false,
	} {
		if _, err := NewRedirect(302, location); (err == nil) != want {
			t.Errorf("NewRedirect(302, %q) = %v, want success %v", location, err, want)
		}
	}
}

func TestAppendLocationAllocatesNothing(t *testing.T) {
	r, err := NewRedirect(302, "${path}?${query}")
	if err != nil {
		t.Fatal(err)
	}
	v := someVars()
	v.Path = []byte("//a b\"<>ä")
	dst := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() { r.AppendLocation(dst, v) }); n != 0 {
		t.Errorf("AppendLocation allocates %v times, want 0", n)
	}
}

func TestNewRedirectErrors(t *testing.T) {
	for _, status := range []int{0, 200, 300, 304, 305, 306, 309, 400} {
		if _, err := NewRedirect(status, "/"); err == nil {
			t.Errorf("NewRedirect(%d) = nil, want an error", status)
		}
	}
	for _, location := range []string{"", "${x}", "a\nb"} {
		if _, err := NewRedirect(301, location); err == nil {
			t.Errorf("NewRedirect(301, %q) = nil, want an error", location)
		}
	}
}
