package filter

import (
	"bytes"
	"regexp"
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
