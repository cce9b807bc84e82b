package schema

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	// Files is where files are read from, for tests; nil is the file system of the machine.
	Files fs.FS

	// Texts, unless nil, are the texts of the configuration by the absolute path of their
	// file: they are read in place of the files, and includes find no others. Files that
	// aren't texts, such as lists of addresses, are read as ever.
	Texts map[string][]byte

	// Overlays, unless nil, returns what is laid over the configuration whose state-dir is
	// known by then, in this order.
	Overlays func(stateDir string) []*Overlay

	// Fragment takes a part of a configuration, to look at the limits in it: what is missing
	// is no problem, and neither what only the whole can tell.
	Fragment bool

	// unbuilt takes what isn't built as if it were, for the tests of its keys.
	unbuilt bool
}

// Sources are the texts of a configuration by file name, in the order they were read.
type Sources struct {
	Names []string
	Texts map[string][]byte
	// Laid are the overlays in their order, with what became of them.
	Laid []Laid
	// Globs are the patterns of includes, whole, as they were looked for.
	Globs []string
}

// Text returns the text of a file, for printing diagnostics.
func (s *Sources) Text(name string) []byte {
	for i := range s.Laid {
		if s.Laid[i].Name == name {
			return s.Laid[i].Text
		}
	}
	return s.Texts[name]
}

// Load reads the configuration at path with everything it includes. It returns every
// problem; the Config is complete only when none of them is an error.
func Load(path string, opt Options) (*Config, *Sources, kdl.Diagnostics) {
	l := newLoader(opt)
	l.file(path, kdl.Span{}, "")
	return l.finish(path)
}

// LoadBytes is Load for a text that is at hand; name is what diagnostics call it and what
// includes are relative to.
func LoadBytes(name string, text []byte, opt Options) (*Config, *Sources, kdl.Diagnostics) {
	l := newLoader(opt)
	l.text(name, text)
	return l.finish(name)
}

type loader struct {
	cfg     *Config
	sources *Sources
	files   fs.FS // nil is the machine's
	texts   map[string][]byte
	// overlays is that of Options.
	overlays func(stateDir string) []*Overlay
	d        *decoder
	open     []string // files being read, the outermost first
	// included is where each file was included first.
	included map[string]Origin
	garbled  bool // a text could not be read in full
}

func newLoader(opt Options) *loader {
	if opt.Env == nil {
		opt.Env = os.LookupEnv
	}
	return &loader{
		cfg: &Config{unbuilt: opt.unbuilt}, sources: &Sources{Texts: make(map[string][]byte)}, files: opt.Files, texts: opt.Texts, overlays: opt.Overlays,
		d:        &decoder{env: opt.Env, specs: table(), unbuilt: opt.unbuilt, fragment: opt.Fragment, written: make(map[place]Origin), owner: make(map[any]string)},
		included: make(map[string]Origin),
	}
}

// finish lets blocks inherit, checks the whole, unless a part of it is missing, and fills
// in the defaults. file is the outermost one.
func (l *loader) finish(file string) (*Config, *Sources, kdl.Diagnostics) {
	l.overlay()
	inheritAll(l.cfg)
	l.d.rateLimits(l.cfg)
	if l.d.fragment {
		fill(table()[""], l.cfg)
		l.sort()
		return l.cfg, l.sources, l.d.diags
	}
	l.databases()
	l.d.stores(l.cfg)
	l.d.issuers(l.cfg)
	l.accessLists()
	l.policyFiles()
	l.d.securities(l.cfg)
	if !l.garbled {
		l.d.crossCheck(l.cfg, file)
	}
	fill(table()[""], l.cfg)
	l.sort()
	return l.cfg, l.sources, l.d.diags
}

// sort puts the diagnostics in the order of the files and of their texts.
func (l *loader) sort() {
	order := make(map[string]int, len(l.sources.Names))
	for i, name := range l.sources.Names {
		order[name] = i
	}
	slices.SortStableFunc(l.d.diags, func(a, b kdl.Diagnostic) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Span.Start.Offset, b.Span.Start.Offset))
	})
}

// file reads one file; at is the place in the file by that includes it.
func (l *loader) file(path string, at kdl.Span, by string) {
	text, err := l.read(path, by != "")
	if err != nil {
		if by == "" {
			by = path
		}
		l.d.problem(kdl.Errorf(by, at, "%v", err)).hint("check the path and its permissions")
		l.garbled = true
		return
	}
	l.text(path, text)
}

// read reads a file of at most the size that a text may have. An included file must be a
// regular one: a pattern must not lead to a device that never ends.
func (l *loader) read(path string, included bool) ([]byte, error) {
	if l.texts != nil {
		return l.kept(path)
	}
	var f fs.File
	var err error
	if l.files != nil {
		f, err = l.files.Open(filepath.Clean(path))
	} else {
		if included {
			if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
				return nil, fmt.Errorf("%s is no regular file", path)
			}
		}
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, kdl.DefaultBytesMax+1))
	return text, errors.Join(err, f.Close())
}

// kept returns the text that stands in for a file.
func (l *loader) kept(path string) ([]byte, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	text, ok := l.texts[abs]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return text, nil
}

func (l *loader) text(name string, text []byte) {
	l.sources.Names = append(l.sources.Names, name)
	l.sources.Texts[name] = text
	doc, diags := kdl.Parse(name, text, kdl.Options{})
	for i := range diags {
		diags[i].Message = "parse error: " + diags[i].Message
	}
	l.d.diags = append(l.d.diags, diags...)
	if diags.HasErrors() {
		l.garbled = true
		return
	}
	l.open = append(l.open, l.identity(name))
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

// identity returns a name that all paths to one file share.
func (l *loader) identity(path string) string {
	if l.files != nil {
		return filepath.Clean(path)
	}
	if l.texts != nil {
		if abs, err := filepath.Abs(path); err == nil {
			return abs
		}
		return path
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}
