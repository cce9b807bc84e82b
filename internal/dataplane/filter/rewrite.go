package filter

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Rewrite changes the path of a request.
type Rewrite struct {
	from []byte // prefix without its final slash
	to   []byte // what takes its place, without its final slash; the whole path if all
	all  bool
	re   *regexp.Regexp // its matches are replaced by to
}

// StripPrefix cuts the leading segments p off paths that start with them: with "/api"
// or "/api/", /api/x becomes /x, /api becomes / and /apix stays.
func StripPrefix(p string) *Rewrite { return ReplacePrefix(p, "/") }

// ReplacePrefix puts the segments to in the place of the leading segments from: with
// "/api" and "/v2", /api/x becomes /v2/x, /api becomes /v2 and /apix stays.
func ReplacePrefix(from, to string) *Rewrite {
	return &Rewrite{
		from: []byte(strings.TrimSuffix(rooted(from), "/")),
		to:   []byte(strings.TrimSuffix(rooted(to), "/")),
	}
}

// ReplaceRegexp replaces every match of re by with, in which $1 and ${name} stand for
// submatches as in regexp.Regexp.Expand. It allocates on each path that matches.
func ReplaceRegexp(re *regexp.Regexp, with string) *Rewrite {
	return &Rewrite{re: re, to: []byte(with)}
}

// SetPath replaces the whole path by p.
func SetPath(p string) *Rewrite { return &Rewrite{to: []byte(rooted(p)), all: true} }

// Check returns an error when r could only make paths that are refused, or when its
// replacement names a submatch that its expression doesn't have: $1x is the submatch "1x",
// not the first one before an x.
func (r *Rewrite) Check() error {
	with := string(r.to)
	if i := strings.IndexAny(with, "?# "); i >= 0 {
		return fmt.Errorf("%q can't stand in a path", with[i:i+1])
	}
	for i := range len(with) {
		if isControl(with[i]) {
			return fmt.Errorf("control character %#02x at byte %d", with[i], i)
		}
	}
	if r.re == nil {
		return nil
	}
	for {
		i := strings.IndexByte(with, '$')
		if i < 0 {
			return nil
		}
		name, rest := submatchName(with[i+1:])
		if name != "" && !hasSubmatch(r.re, name) {
			return fmt.Errorf("%q has no submatch %q; write ${1} where a letter, digit or _ follows", r.re, name)
		}
		with = rest
	}
}

// submatchName returns the name that stands at the start of text, after a dollar sign,
// and what follows it. It is empty where regexp.Regexp.Expand sees none.
func submatchName(text string) (name, rest string) {
	if strings.HasPrefix(text, "$") {
		return "", text[1:]
	}
	inner, braced := strings.CutPrefix(text, "{")
	n := 0
	for n < len(inner) && wordChar(inner[n]) {
		n++
	}
	if braced && !strings.HasPrefix(inner[n:], "}") {
		return "", text
	}
	return inner[:n], inner[n:]
}

func wordChar(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func hasSubmatch(re *regexp.Regexp, name string) bool {
	if n, err := strconv.Atoi(name); err == nil {
		return n <= re.NumSubexp()
	}
	return re.SubexpIndex(name) >= 0
}

// rooted returns p with a slash in front.
func rooted(p string) string {
	if strings.HasPrefix(p, "/") {
		return p
	}
	return "/" + p
}

// Apply returns the path to send instead of path, which starts with a slash as the
// result does. The result is made by appending to dst[:0], which must not overlap path,
// and never shares memory with path, so that the caller may keep it as dst for the next
// call. It need not be canonical: the caller brings it to canonical form again.
func (r *Rewrite) Apply(dst, path []byte) []byte {
	dst = dst[:0]
	switch {
	case r.all:
		return append(dst, r.to...)
	case r.re != nil:
		return r.applyRegexp(dst, path)
	}
	rest, ok := bytes.CutPrefix(path, r.from)
	if !ok || len(rest) > 0 && rest[0] != '/' {
		return append(dst, path...)
	}
	if len(r.to)+len(rest) == 0 {
		return append(dst, '/')
	}
	return append(append(dst, r.to...), rest...)
}

func (r *Rewrite) applyRegexp(dst, path []byte) []byte {
	if !r.re.Match(path) {
		return append(dst, path...)
	}
	result := r.re.ReplaceAll(path, r.to)
	if len(result) == 0 || result[0] != '/' {
		dst = append(dst, '/')
	}
	return append(dst, result...)
}
