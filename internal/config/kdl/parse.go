package kdl

import "strings"

// bytesLimit and depthLimit are the hard upper ends of the limits in Options.
const (
	bytesLimit = 1 << 30
	depthLimit = 10_000
)

// Parse reads src, which diagnostics call name. It reports all errors of the
// text at once and returns what could be read, so the document is never nil;
// it is complete only when the diagnostics hold no error. The document keeps
// src, which must not change afterwards.
//
// A version in the options counts more than the marker in the text.
func Parse(name string, src []byte, opt Options) (*Document, Diagnostics) {
	doc, p := parse(name, src, opt, false)
	if p == nil {
		return doc, sizeDiagnostics(name, src, opt)
	}
	return doc, p.sorted()
}

// parse is Parse with the parser that it ended with; nil when the text was
// refused unread. With layout the parser notes what the formatter asks for.
func parse(name string, src []byte, opt Options, layout bool) (*Document, *parser) {
	doc := &Document{Name: name, Source: src, Version: opt.Version}
	if sizeDiagnostics(name, src, opt) != nil {
		if doc.Version == Auto {
			doc.Version = V2
		}
		return doc, nil
	}
	text := string(src)
	marker, span := findMarker(text)
	if doc.Version == Auto {
		doc.Version = marker
	}
	p := parseVersions(doc.Version, func(v Version) *parser {
		p := newParser(name, text, v, opt)
		if layout {
			p.oneLine = map[int32]int32{}
		}
		return p.parse()
	})
	doc.Version = p.version
	doc.Nodes = p.top
	if span.IsValid() && marker == Auto {
		p.add(Warningf(name, span, "there is no such version of KDL").
			WithHint("the versions are 1 and 2; the text was read as version %s", p.version))
	}
	return doc, p
}

// parseVersions reads the text in the version given, or for Auto in the one
// that fits or at least seems meant.
func parseVersions(v Version, parseAs func(Version) *parser) *parser {
	if v != Auto {
		return parseAs(v)
	}
	second := parseAs(V2)
	if len(second.list) == 0 {
		return second
	}
	first := parseAs(V1)
	if len(first.list) == 0 || second.signsV1 > second.signsV2 {
		return first
	}
	return second
}

// sizeDiagnostics returns why a text is refused before it is read, or nil.
func sizeDiagnostics(name string, src []byte, opt Options) Diagnostics {
	limit := opt.BytesMax
	if limit <= 0 {
		limit = DefaultBytesMax
	}
	limit = min(limit, bytesLimit)
	if len(src) > limit {
		return Diagnostics{Errorf(name, Span{}, "text of %d bytes is over the limit of %d", len(src), limit)}
	}
	if len(src) >= 2 && (src[0] == 0xFE && src[1] == 0xFF || src[0] == 0xFF && src[1] == 0xFE) {
		start := Pos{Offset: 0, Line: 1, Column: 1}
		return Diagnostics{Errorf(name, Span{start, start}, "text is UTF-16").WithHint("save the file as UTF-8")}
	}
	return nil
}

// findMarker looks for "/- kdl-version N" in the first line and returns the
// version, or Auto, and the span of N when there is a marker.
func findMarker(text string) (Version, Span) {
	at := newCursor(text)
	at.Offset = int32(textBody(text))
	rest, ok := strings.CutPrefix(at.rest(), "/-")
	if !ok {
		return Auto, Span{}
	}
	rest = trimBlank(rest)
	after, ok := strings.CutPrefix(rest, "kdl-version")
	rest = trimBlank(after)
	if !ok || rest == after {
		return Auto, Span{}
	}
	n := 0
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	if line := trimBlank(rest[n:]); n == 0 || line != "" && newlineLen(line) == 0 {
		return Auto, Span{}
	}
	at.skip(len(text) - int(at.Offset) - len(rest))
	start := at.Pos
	at.skip(n)
	switch rest[:n] {
	case "1":
		return V1, Span{start, at.Pos}
	case "2":
		return V2, Span{start, at.Pos}
	}
	return Auto, Span{start, at.Pos}
}

// trimBlank returns s without the space characters it starts with.
func trimBlank(s string) string {
	for {
		n := spaceLen(s)
		if n == 0 {
			return s
		}
		s = s[n:]
	}
}
