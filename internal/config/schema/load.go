package schema

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"sentinel/internal/config/kdl"
)

const (
	// filesMax bounds the files of one configuration.
	filesMax = 1000
	// includeDepthMax bounds how deep files may include each other.
	includeDepthMax = 16
)

// Options are what Load may be told.
type Options struct {
	// Env looks up environment variables; nil is os.LookupEnv.
	Env func(name string) (string, bool)
}

// Sources are the texts of a configuration by file name, in the order they were read.
type Sources struct {
	Names []string
	Texts map[string][]byte
}

// Text returns the text of a file, for printing diagnostics.
func (s *Sources) Text(name string) []byte { return s.Texts[name] }

func (s *Sources) add(name string, text []byte) {
	s.Names = append(s.Names, name)
	s.Texts[name] = text
}

// Load reads the configuration at path with everything it includes. It returns every
// problem; the Config is complete only when none of them is an error.
func Load(path string, opt Options) (*Config, *Sources, kdl.Diagnostics) {
	l := newLoader(opt)
	l.file(path, kdl.Span{}, "")
	return l.finish()
}

// LoadBytes is Load for a text that is at hand; name is what diagnostics call it and what
// includes are relative to.
func LoadBytes(name string, text []byte, opt Options) (*Config, *Sources, kdl.Diagnostics) {
	l := newLoader(opt)
	l.text(name, text)
	return l.finish()
}

type loader struct {
	cfg     *Config
	sources *Sources
	d       *decoder
	open    []string // files being read, the outermost first
}

func newLoader(opt Options) *loader {
	if opt.Env == nil {
		opt.Env = os.LookupEnv
	}
	cfg := new(Config)
	return &loader{
		cfg: cfg, sources: &Sources{Texts: make(map[string][]byte)},
		d: &decoder{env: opt.Env, written: make(map[place]Origin), owner: make(map[any]string)},
	}
}

func (l *loader) finish() (*Config, *Sources, kdl.Diagnostics) {
	if !l.d.diags.HasErrors() {
		l.d.crossCheck(l.cfg, l.sources.Names[0])
	}
	resolve(l.cfg)
	return l.cfg, l.sources, l.d.diags
}

// file reads one file; at is the include that names it in the file by.
func (l *loader) file(path string, at kdl.Span, by string) {
	problem := func(format string, args ...any) problem {
		return l.d.problem(kdl.Errorf(by, at, format, args...))
	}
	switch {
	case slices.Contains(l.open, path):
		problem("%s includes itself", path).hint("remove the include that closes the circle")
		return
	case len(l.open) >= includeDepthMax || len(l.sources.Names) >= filesMax:
		problem("too many files or includes too deep").hint("at most %d files, nested %d deep", filesMax, includeDepthMax)
		return
	}
	text, err := readFile(path, by != "")
	if err != nil {
		if by == "" {
			by = path
		}
		problem("%v", err).hint("check the path and its permissions")
		return
	}
	l.text(path, text)
}

// readFile reads a file of at most the size that a text may have. An included file must be
// a regular one: a pattern must not lead to a device that never ends.
func readFile(path string, included bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || included && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return io.ReadAll(io.LimitReader(f, kdl.DefaultBytesMax+1))
}

func (l *loader) text(name string, text []byte) {
	l.sources.add(name, text)
	doc, diags := kdl.Parse(name, text, kdl.Options{})
	for i := range diags {
		diags[i].Message = "parse error: " + diags[i].Message
	}
	l.d.diags = append(l.d.diags, diags...)
	if diags.HasErrors() {
		return
	}
	l.open = append(l.open, name)
	for _, n := range doc.Nodes {
		l.d.file = name
		if n.Name.Text == "include" {
			l.include(name, n)
		} else {
			l.d.topNode(l.cfg, n)
		}
	}
	l.open = l.open[:len(l.open)-1]
}

// include reads the files that an include names by a pattern relative to its own file.
func (l *loader) include(by string, n *kdl.Node) {
	e := n.Arg(0)
	if e == nil || e.Value.Kind != kdl.String || len(n.Entries) != 1 || n.HasBlock {
		l.d.errorSpan(n.Name.Span, "include takes one pattern").hint(`write include "conf.d/*.kdl"`)
		return
	}
	from := l.d.from(e.Value.Span)
	pattern, ok := l.d.expand(e.Value.Text, environmentOnly, &from)
	if !ok {
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(by), pattern)
	}
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		l.d.errorSpan(e.Value.Span, "include %q names no file", pattern).hint("check the path; it is relative to the file that includes")
		return
	}
	for _, f := range found {
		l.file(f, e.Value.Span, by)
		l.d.file = by
	}
}

// String describes the sources for logs.
func (s *Sources) String() string { return fmt.Sprintf("%d files", len(s.Names)) }
