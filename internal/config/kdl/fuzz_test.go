package kdl

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// FuzzParse feeds any bytes to the reader and the formatter: neither panics,
// the tree gives the text back, and what is formatted stays as it is.
func FuzzParse(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		for v := range uint8(3) {
			f.Add([]byte(seed), v)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, v uint8) {
		opt := Options{Version: Version(v % 3)}
		doc, ds := Parse("fuzz", src, opt)
		if got := doc.AppendText(nil); !bytes.Equal(got, src) {
			t.Fatalf("text of %q = %q", src, got)
		}
		checkSpans(t, doc)
		ds.AppendText(nil, func(string) []byte { return src })
		if !ds.HasErrors() && !utf8.Valid(src) {
			t.Fatalf("accepted %q, which is not UTF-8", src)
		}
		checkFormat(t, src, doc, ds.HasErrors(), opt)
	})
}

// checkFormat formats a text in its own version and in both, and again.
func checkFormat(t *testing.T, src []byte, doc *Document, broken bool, opt Options) {
	for _, write := range []Version{Auto, V1, V2} {
		once, ds := Format("fuzz", src, FormatOptions{Read: opt, Write: write})
		if ds.HasErrors() {
			if !broken && (write == Auto || write == doc.Version) {
				t.Fatalf("Format(%q) refuses a valid text: %v", src, ds)
			}
			continue
		}
		if broken {
			t.Fatalf("Format(%q) accepts a text with errors", src)
		}
		to := write
		if to == Auto {
			to = doc.Version
		}
		twice, ds := Format("fuzz", once, FormatOptions{Read: Options{Version: to}})
		if ds.HasErrors() || !bytes.Equal(once, twice) {
			t.Fatalf("Format(%q) to %v = %q, formatted again = %q (%v)", src, write, once, twice, ds)
		}
	}
}

// checkSpans makes sure that spans lie in the text and in each other.
func checkSpans(t *testing.T, doc *Document) {
	inside := func(what string, inner, outer Span) {
		if inner.Start.Offset < outer.Start.Offset || inner.End.Offset > outer.End.Offset || inner.Start.Offset > inner.End.Offset {
			t.Fatalf("%q: %s at %v outside of %v", doc.Source, what, inner, outer)
		}
	}
	var walk func(nodes []*Node, outer Span)
	walk = func(nodes []*Node, outer Span) {
		for _, n := range nodes {
			inside("node", n.Span, outer)
			inside("name", n.Name.Span, n.Span)
			for _, e := range n.Entries {
				inside("entry", e.Span, n.Span)
				inside("value", e.Value.Span, Span{End: e.Span.End})
			}
			if n.HasBlock {
				inside("block", n.Block, n.Span)
				walk(n.Children, n.Block)
			}
		}
	}
	walk(doc.Nodes, Span{End: Pos{Offset: int32(len(doc.Source))}})
}

// fuzzSeeds returns the texts of all committed cases.
func fuzzSeeds(tb testing.TB) (seeds []string) {
	for _, path := range archives(tb, "*/*.txtar") {
		for _, s := range inputsOf(readArchive(tb, path)) {
			seeds = append(seeds, s.text)
		}
	}
	return seeds
}
