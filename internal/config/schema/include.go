package schema

import (
	"io/fs"
	"path/filepath"
	"slices"

	"sentinel/internal/config/kdl"
)

// include reads the files that `include "PATTERN" optional=#true` names. The pattern is
// relative to the file it stands in; files are read in the order of their names.
func (l *loader) include(by string, n *kdl.Node) {
	e, optional, ok := l.includeParts(n)
	if !ok {
		l.garbled = true
		return
	}
	from := l.d.from(e.Value.Span)
	pattern, ok := l.d.expand(e.Value.Text, environmentOnly, &from)
	if !ok {
		l.garbled = true
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(by), pattern)
	}
	l.sources.Globs = append(l.sources.Globs, pattern)
	found, err := l.glob(pattern)
	if err != nil {
		l.d.errorAt(from, "include %q is no pattern: %v", e.Value.Text, err).hint(`write one such as "conf.d/*.kdl"`)
		return
	}
	if len(found) == 0 && !optional {
		l.d.errorAt(from, "include %q names no file", pattern).
			hint("check the path, which is relative to this file, or add optional=#true")
		l.garbled = true
		return
	}
	for _, f := range found {
		if l.mayInclude(f, from) {
			l.file(f, e.Value.Span, by)
		}
		l.d.file = by
	}
}

// includeParts takes an include apart.
func (l *loader) includeParts(n *kdl.Node) (pattern *kdl.Entry, optional, ok bool) {
	l.d.annotations(n)
	for _, e := range n.Entries {
		switch {
		case e.Name == nil && pattern == nil && e.Value.Kind == kdl.String && e.Value.Text != "":
			pattern = e
		case e.Name != nil && e.Name.Text == "optional" && e.Value.Kind == kdl.Bool:
			optional = e.Value.Bool
		default:
			pattern = nil
			l.d.errorSpan(e.Span, "include doesn't take %s", l.d.excerpt(e)).hint(`write include "conf.d/*.kdl", or include "conf.d/*.kdl" optional=#true`)
			return nil, false, false
		}
	}
	if pattern == nil || len(n.Children) > 0 {
		l.d.errorSpan(n.Name.Span, "include takes one pattern").hint(`write include "conf.d/*.kdl"`)
		return nil, false, false
	}
	return pattern, optional, true
}

// excerpt returns an entry as it is written.
func (d *decoder) excerpt(e *kdl.Entry) string {
	if e.Name == nil {
		return e.Value.Raw
	}
	return e.Name.Text + "=" + e.Value.Raw
}

func (l *loader) glob(pattern string) ([]string, error) {
	if l.texts != nil {
		return l.globTexts(pattern)
	}
	if l.files != nil {
		return fs.Glob(l.files, pattern)
	}
	return filepath.Glob(pattern)
}

// globTexts is filepath.Glob over the names of the texts.
func (l *loader) globTexts(pattern string) ([]string, error) {
	abs, err := filepath.Abs(pattern)
	if err != nil {
		return nil, err
	}
	var found []string
	for name := range l.texts {
		switch ok, err := filepath.Match(abs, name); {
		case err != nil:
			return nil, err
		case ok:
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// mayInclude reports whether the file may be read: not while it is being read, not twice,
// and within the limits.
func (l *loader) mayInclude(path string, from Origin) bool {
	id := l.identity(path)
	first, twice := l.included[id]
	switch {
	case slices.Contains(l.open, id):
		l.d.errorAt(from, "%s includes itself", path).hint("remove the include that closes the circle")
	case twice:
		l.d.errorAt(from, "%s is included twice", path).hint("keep one of them").related(first, "the first one is here")
	case len(l.open) >= includeDepthMax:
		l.d.errorAt(from, "includes are nested too deep").hint("at most %d deep", includeDepthMax)
	case len(l.sources.Names) >= filesMax:
		l.d.errorAt(from, "too many files").hint("at most %d", filesMax)
	default:
		l.included[id] = from
		return true
	}
	l.garbled = true
	return false
}
