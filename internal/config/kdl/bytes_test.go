package kdl

import (
	"strings"
	"testing"
)

// TestBytes holds the cases whose bytes an editor would hide or change.
func TestBytes(t *testing.T) {
	const ok = ""
	tests := []struct {
		name, src string
		version   Version
		want      string // canonical tree when valid
		problem   string // part of the first message when not
	}{
		{"carriage return and line feed", "a\r\nb\r\n", V2, "a\nb\n", ok},
		{"carriage return", "a\rb", V2, "a\nb\n", ok},
		{"next line", "a\u0085b", V2, "a\nb\n", ok},
		{"vertical tab", "a\vb", V2, "a\nb\n", ok},
		{"form feed", "a\fb", V2, "a\nb\n", ok},
		{"line separator", "a\u2028b", V2, "a\nb\n", ok},
		{"paragraph separator", "a\u2029b", V2, "a\nb\n", ok},
		{"newlines of version 1", "a\r\nb\rc\u0085d\fe\u2028f\u2029g", V1, "a\nb\nc\nd\ne\nf\ng\n", ok},
		{"vertical tab in version 1", "a\vb", V1, "", "can't stand in text without quotes"},
		{"comment ends at each newline", "//\u2028a//\rb", V2, "a\nb\n", ok},
		{"spaces", "a\t1\u00a02\u16803\u20004\u200a5\u202f6\u205f7\u30008", V2, "a 1 2 3 4 5 6 7 8\n", ok},
		{"spaces of version 1", "a\t1\u00a02\u30003", V1, "a 1 2 3\n", ok},
		{"zero width space is no space", "a\u200bb", V2, "a\u200bb\n", ok},
		{"byte order mark", "\uFEFFa 1", V2, "a 1\n", ok},
		{"byte order mark before marker", "\uFEFF/- kdl-version 2\na", V2, "a\n", ok},
		{"byte order mark later", "a \uFEFF1", V2, "", "byte order mark"},
		{"byte order mark is space in version 1", "a\uFEFF1", V1, "a 1\n", ok},
		{"nothing but a byte order mark", "\uFEFF", V2, "", ok},
		{"newlines normalised in multi-line string", "a \"\"\"\r\n b\r\n c\r d\r\n \"\"\"", V2, "a \"b\\nc\\nd\"\n", ok},
		{"carriage return twice in multi-line string", "a \"\"\"\n b\r\r c\n \"\"\"", V2, "a \"b\\n\\nc\"\n", ok},
		{"escaped newlines of all kinds", "a \"b\\\r\n\u2028 c\"", V2, "a bc\n", ok},
		{"carriage return in string", "a \"b\rc\"", V2, "", "not closed on its line"},
		{"newline kept in string of version 1", "a \"b\r\nc\"", V1, "a \"b\\r\\nc\"\n", ok},
		{"no-break space before text in multi-line", "a \"\"\"\n\u00a0b\n\u00a0\"\"\"", V2, "a b\n", ok},
		{"nul", "a \x00", V2, "", "U+0000"},
		{"nul in string", "a \"\x00\"", V2, "", "U+0000"},
		{"nul in comment", "a //\x00", V2, "", "U+0000"},
		{"escape character", "a\x1b1", V2, "", "U+001B"},
		{"delete", "a\x7f", V2, "", "U+007F"},
		{"left-to-right mark", "a \u200e1", V2, "", "U+200E"},
		{"right-to-left override in string", "a \"\u202e\"", V2, "", "U+202E"},
		{"isolate in raw string", "a #\"\u2066\"#", V2, "", "U+2066"},
		{"control character in name in version 1", "a\x01", V1, "", "can't stand in text"},
		{"control character in string in version 1", "a \"\x01\"", V1, "a \"\\u{1}\"\n", ok},
		{"direction mark in version 1", "a \"\u202e\"", V1, "a \"\\u{202e}\"\n", ok},
		{"cut character", "a \"\xc3\"", V2, "", "not UTF-8"},
		{"overlong character", "a \xc0\xaf", V2, "", "not UTF-8"},
		{"half a pair", "a \"\xed\xa0\x80\"", V2, "", "not UTF-8"},
		{"cut character in version 1", "a \"\xff\"", V1, "", "not UTF-8"},
		{"cut character in comment", "/* \xff */", V2, "", "not UTF-8"},
		{"UTF-16", "\xff\xfea\x00", V2, "", "UTF-16"},
	}
	for _, test := range tests {
		doc, ds := Parse(test.name, []byte(test.src), Options{Version: test.version})
		if got := string(doc.AppendText(nil)); got != test.src {
			t.Errorf("%s: text = %q, want %q", test.name, got, test.src)
		}
		switch {
		case test.problem == ok && ds.HasErrors():
			t.Errorf("%s: Parse(%q) = %v, want no error", test.name, test.src, ds)
		case test.problem == ok && canonical(doc) != test.want:
			t.Errorf("%s: Parse(%q) = %q, want %q", test.name, test.src, canonical(doc), test.want)
		case test.problem != ok && (!ds.HasErrors() || !strings.Contains(ds[0].Message, test.problem)):
			t.Errorf("%s: Parse(%q) = %v, want %q", test.name, test.src, ds, test.problem)
		}
	}
}

// TestPositions pins offsets, lines and columns, the latter in characters.
func TestPositions(t *testing.T) {
	src := "\uFEFFä (t)\"ö\" k=1 {\r\n\tß #true\u2028}\n"
	doc, ds := Parse("t", []byte(src), Options{})
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	a := doc.Nodes[0]
	b := a.Children[0]
	tests := []struct {
		what string
		span Span
		text string
		pos  Pos
	}{
		{"node", a.Span, src[3 : len(src)-1], Pos{3, 1, 1}},
		{"name", a.Name.Span, "ä", Pos{3, 1, 1}},
		{"type", a.Entries[0].Type.Span, "t", Pos{7, 1, 4}},
		{"argument", a.Entries[0].Span, "(t)\"ö\"", Pos{6, 1, 3}},
		{"argument value", a.Entries[0].Value.Span, "\"ö\"", Pos{9, 1, 6}},
		{"property", a.Entries[1].Span, "k=1", Pos{14, 1, 10}},
		{"property name", a.Entries[1].Name.Span, "k", Pos{14, 1, 10}},
		{"property value", a.Entries[1].Value.Span, "1", Pos{16, 1, 12}},
		{"block", a.Block, "{\r\n\tß #true\u2028}", Pos{18, 1, 14}},
		{"child", b.Span, "ß #true", Pos{22, 2, 2}},
		{"child value", b.Entries[0].Value.Span, "#true", Pos{25, 2, 4}},
	}
	for _, test := range tests {
		if got := src[test.span.Start.Offset:test.span.End.Offset]; got != test.text || test.span.Start != test.pos {
			t.Errorf("%s = %q at %v, want %q at %v", test.what, got, test.span.Start, test.text, test.pos)
		}
	}
	if end := a.Block.End; end.Line != 3 || end.Column != 2 {
		t.Errorf("end of block at %v, want line 3, column 2", end)
	}
}
