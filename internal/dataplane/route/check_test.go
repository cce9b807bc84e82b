package route

import "testing"

func TestCheckHost(t *testing.T) {
	for pattern, want := range map[string]bool{
		"a.example": true, "A.example.": true, "*.example": true, "*": true, "x_y-z": true, "192.0.2.1": true,
		"[::1]": true, "[2001:DB8::1]": true,
		"*.*.x": false, "x.*": false, "*x": false, "*.": false, "": false, ".": false, "a..b": false, "a b": false,
		"ä.example": false, "a.example:80": false, "::1": false, "[::1": false, "[::1]:80": false,
		"*.[::1]": false, "[0:0::1]": false, "[192.0.2.1]": false,
	} {
		if err := CheckHost(pattern); (err == nil) != want {
			t.Errorf("CheckHost(%q) = %v, want success %v", pattern, err, want)
		}
	}
}

func TestCanonicalPath(t *testing.T) {
	tests := []struct {
		path, want string
		err        error
	}{
		{"/a/", "/a/", nil},
		{"/%41/ä", "/A/%C3%A4", nil},
		{"/a//b%2fc", "/a//b%2Fc", nil},
		{"a", "", ErrNotAbsolute},
		{"/a/../b", "", ErrDotSegment},
		{"/a%2", "", ErrEscape},
		{"/a?b", "", ErrDelimiter},
		{"/a b", "", ErrDelimiter},
		{"/..;", "", ErrHiddenDots},
	}
	for _, tt := range tests {
		if got, err := CanonicalPath(tt.path); got != tt.want || err != tt.err {
			t.Errorf("CanonicalPath(%q) = %q, %v, want %q, %v", tt.path, got, err, tt.want, tt.err)
		}
	}
}

func TestBuildMakesPathsCanonical(t *testing.T) {
	p := DefaultPathPolicy()
	tests := []struct {
		rule    Rule[int]
		request string
	}{
		{Rule[int]{Exact: []string{"/%7euser/ä"}}, "/~user/%c3%a4"},
		{Rule[int]{Prefixes: []string{"/%7euser/"}}, "/~user/x"},
		{Rule[int]{Prefixes: []string{"/%3a"}}, "/%3A/x"},
		{Rule[int]{Prefixes: []string{"b"}}, "/b/x"},
	}
	for _, tt := range tests {
		path, err := Canonicalise(nil, []byte(tt.request), &p)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := Build([]Rule[int]{tt.rule}).Match(&Input{Path: path}); !ok {
			t.Errorf("exact %q, prefixes %q: Match(%q) = false, want true", tt.rule.Exact, tt.rule.Prefixes, path)
		}
	}
}
