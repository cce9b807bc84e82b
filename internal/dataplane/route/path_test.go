package route

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCanonicaliseDefault(t *testing.T) {
	tests := []struct {
		path, want string
		err        error
	}{
		{path: "", want: "/"},
		{path: "/", want: "/"},
		{path: "/a/b", want: "/a/b"},
		{path: "/a/b/", want: "/a/b/"},
		{path: "/.well-known/x", want: "/.well-known/x"},
		{path: "/.", want: "/"},
		{path: "/..", want: "/"},
		{path: "/...", want: "/..."},
		{path: "/a/.", want: "/a/"},
		{path: "/a/..", want: "/"},
		{path: "/a/./b", want: "/a/b"},
		{path: "/a/../b", want: "/b"},
		{path: "/a/b/../../../c", want: "/c"},
		{path: "/../../etc/passwd", want: "/etc/passwd"},
		{path: "/a/%2e%2E/b", want: "/b"},
		{path: "/a/.%2e/b", want: "/b"},
		{path: "/a/%2e/b", want: "/a/b"},
		{path: "//a///b//", want: "/a/b/"},
		{path: "/a//../b", want: "/b"},
		{path: "/..//x", want: "/x"},
		{path: "/%41%7e%2D%5f", want: "/A~-_"},
		{path: "/%e4%3b%3A", want: "/%E4%3B%3A"},
		{path: "/%E4%3B%3A", want: "/%E4%3B%3A"},
		{path: "/a b", err: ErrDelimiter},
		{path: "/a?b", err: ErrDelimiter},
		{path: "/a#b", err: ErrDelimiter},
		{path: "/\xc3\xa4|{}", want: "/%C3%A4%7C%7B%7D"},
		{path: "/%20%3F%23", want: "/%20%3F%23"},
		{path: "/%252e%252e/a", want: "/%252e%252e/a"},
		{path: "/a;v=1/b", want: "/a;v=1/b"},
		{path: "/!$&'()*+,;=:@", want: "/!$&'()*+,;=:@"},
		{path: "a", err: ErrNotAbsolute},
		{path: "*", err: ErrNotAbsolute},
		{path: "%2Fa", err: ErrNotAbsolute},
		{path: "/%", err: ErrEscape},
		{path: "/%4", err: ErrEscape},
		{path: "/%4g", err: ErrEscape},
		{path: "/%u0041", err: ErrEscape},
		{path: "/%00", err: ErrControl},
		{path: "/a%0d%0ab", err: ErrControl},
		{path: "/a%7F", err: ErrControl},
		{path: "/a\x00", err: ErrControl},
		{path: "/a\tb", err: ErrControl},
		{path: "/a%2Fb", err: ErrEncodedSlash},
		{path: "/a%2fb", err: ErrEncodedSlash},
		{path: `/a\b`, err: ErrBackslash},
		{path: "/a%5cb", err: ErrBackslash},
		{path: "/..;/a", err: ErrHiddenDots},
		{path: "/.;x/a", err: ErrHiddenDots},
		{path: "/%2e%2E;x=1/a", err: ErrHiddenDots},
		{path: "/..%3b/a", err: ErrHiddenDots},
		{path: "/..;", err: ErrHiddenDots},
	}
	p := DefaultPathPolicy()
	for _, tt := range tests {
		got, err := Canonicalise(nil, []byte(tt.path), &p)
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Canonicalise(%q) = %q, %v, want %q, %v", tt.path, got, err, tt.want, tt.err)
		}
	}
}

func TestCanonicalisePolicy(t *testing.T) {
	keep := PathPolicy{Keep, Keep, Keep, Keep}
	decode := PathPolicy{Resolve, Decode, Decode, Merge}
	tests := []struct {
		policy     PathPolicy
		path, want string
		err        error
	}{
		{PathPolicy{}, "/a/b", "/a/b", nil},
		{PathPolicy{}, "/a/../b", "", ErrDotSegment},
		{PathPolicy{}, "/a/%2e", "", ErrDotSegment},
		{PathPolicy{}, "/a//b", "", ErrDoubleSlash},
		{PathPolicy{}, "/a%2Fb", "", ErrEncodedSlash},
		{PathPolicy{}, `/a\b`, "", ErrBackslash},
		{PathPolicy{DotSegments: Merge}, "/./a", "", ErrDotSegment},
		{PathPolicy{DoubleSlash: Decode}, "//a", "", ErrDoubleSlash},
		{keep, "/a/../b", "/a/../b", nil},
		{keep, "/a/%2e./b", "/a/../b", nil},
		{keep, "/a/b/../..", "/a/b/../..", nil},
		{keep, "/..", "", ErrAboveRoot},
		{keep, "/a/../../../etc", "", ErrAboveRoot},
		{keep, "/./%2e%2E/a", "", ErrAboveRoot},
		{keep, "//../a", "", ErrAboveRoot},
		{keep, "/;x/../a", "", ErrAboveRoot},
		{keep, "/%2F/../a", "", ErrAboveRoot},
		{keep, `/\/../a`, "", ErrAboveRoot},
		{keep.Rewritten(), "/a/../b", "", ErrDotSegment},
		{keep.Rewritten(), "//a%2Fb", "//a%2Fb", nil},
		{keep, "//a//", "//a//", nil},
		{keep, `/a%2fb\c%5cd`, "/a%2Fb%5Cc%5Cd", nil},
		{keep, "/..;/b", "", ErrHiddenDots},
		{keep, "/a/..%2fb", "", ErrHiddenDots},
		{keep, `/a/b\..`, "", ErrHiddenDots},
		{keep, "/a/b%2F..;x%2Fc", "", ErrHiddenDots},
		{keep, "/a;x%2F.", "", ErrHiddenDots},
		{keep, "/a;..%2Fb", "/a;..%2Fb", nil},
		{PathPolicy{Resolve, Keep, Keep, Keep}, "/a//../b", "/a/b", nil},
		{PathPolicy{Resolve, Keep, Keep, Keep}, "/.//b", "//b", nil},
		{decode, "/a%2Fb", "/a/b", nil},
		{decode, `/a\..%2f..\b`, "/b", nil},
		{decode, "/a/%2Fb", "/a/b", nil},
	}
	for _, tt := range tests {
		got, err := Canonicalise(nil, []byte(tt.path), &tt.policy)
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Canonicalise(%q, %v) = %q, %v, want %q, %v", tt.path, tt.policy, got, err, tt.want, tt.err)
		}
	}
}

func TestCanonicaliseReturnsPlainPathItself(t *testing.T) {
	p := DefaultPathPolicy()
	for _, path := range []string{"/", "/a/b.c/~d/", "/.well-known/a", "/a%20b"} {
		in := []byte(path)
		if got, err := Canonicalise(nil, in, &p); err != nil || &got[0] != &in[0] {
			t.Errorf("Canonicalise(%q) = %q, %v, want the slice itself", path, got, err)
		}
	}
}

func TestCanonicaliseAllocatesNothing(t *testing.T) {
	p := DefaultPathPolicy()
	dst := make([]byte, 0, 64)
	plainPath, other := []byte("/a/b/c%20d"), []byte("/a/./b//%41/../c")
	if n := testing.AllocsPerRun(100, func() {
		_, _ = Canonicalise(dst, plainPath, &p)
		_, _ = Canonicalise(dst, other, &p)
	}); n != 0 {
		t.Errorf("Canonicalise allocates %v times, want 0", n)
	}
}

// policies are all combinations of allowed actions.
func policies() (all []PathPolicy) {
	for _, dots := range []PathAction{Reject, Resolve, Keep} {
		for _, slash := range []PathAction{Reject, Keep, Decode} {
			for _, back := range []PathAction{Reject, Keep, Decode} {
				for _, double := range []PathAction{Reject, Merge, Keep} {
					all = append(all, PathPolicy{dots, slash, back, double})
				}
			}
		}
	}
	return all
}

func FuzzCanonicalise(f *testing.F) {
	for _, s := range []string{"", "/", "/a/../b", "/%2e%2e;/", "//%2F\\..", "/a%5c.%3b", "/\xff%ff", "/.a", "/.%41"} {
		f.Add([]byte(s))
	}
	all := policies()
	f.Fuzz(func(t *testing.T, path []byte) {
		before := bytes.Clone(path)
		for i := range all {
			p := &all[i]
			got, err := Canonicalise(nil, path, p)
			if !bytes.Equal(path, before) {
				t.Fatalf("Canonicalise(%q) changed its input to %q", before, path)
			}
			if err != nil {
				continue
			}
			checkCanonical(t, got, p)
			again, err := Canonicalise(nil, got, p)
			if err != nil || !bytes.Equal(again, got) {
				t.Fatalf("Canonicalise(%q, %v) = %q, then %q, %v", path, *p, got, again, err)
			}
		}
	})
}

// checkCanonical looks at a result with other means than the code under test.
func checkCanonical(t *testing.T, got []byte, p *PathPolicy) {
	t.Helper()
	s := string(got)
	if !strings.HasPrefix(s, "/") {
		t.Fatalf("%q does not start with a slash", s)
	}
	if strings.ContainsAny(s, "\\?# \x00\r\n\x7f") {
		t.Fatalf("%q holds a forbidden character", s)
	}
	if p.DoubleSlash != Keep && strings.Contains(s, "//") {
		t.Fatalf("%q holds an empty segment", s)
	}
	if p.EncodedSlash != Keep && strings.Contains(strings.ToLower(s), "%2f") {
		t.Fatalf("%q holds an escaped slash", s)
	}
	depth := 0
	for segment := range strings.SplitSeq(s, "/") {
		if segment == ".." {
			depth--
		} else if segment != "" && segment != "." {
			depth++
		}
		if depth < 0 {
			t.Fatalf("%q leaves the root", s)
		}
		if p.DotSegments != Keep && (segment == "." || segment == "..") {
			t.Fatalf("%q holds a dot segment", s)
		}
		for piece := range strings.SplitSeq(strings.ReplaceAll(segment, "%5C", "%2F"), "%2F") {
			name, _, _ := strings.Cut(strings.ReplaceAll(piece, "%3B", ";"), ";")
			if piece != segment && (name == "." || name == "..") || name != piece && (name == "." || name == "..") {
				t.Fatalf("%q holds a hidden dot segment", s)
			}
		}
	}
}
