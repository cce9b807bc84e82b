package kdl

import (
	"strings"
	"testing"
)

// TestExcerpt pins how diagnostics look where the line is not plain ASCII.
func TestExcerpt(t *testing.T) {
	long := strings.Repeat("x", 1000)
	tests := []struct {
		name, src, mark, want string
	}{
		{"tabs", "\t\ta 5s", "5s", "    1 | \t\ta 5s\n      | \t\t  ^^\n"},
		{"wide characters", "高さ 5s", "5s", "    1 | 高さ 5s\n      |      ^^\n"},
		{"wide mark", "a 高さ", "高さ", "    1 | a 高さ\n      |   ^^^^\n"},
		{"combining mark", "e\u0301 5s", "5s", "    1 | e\u0301 5s\n      |   ^^\n"},
		{"byte order mark", "\uFEFFa 5s", "5s", "    1 | a 5s\n      |   ^^\n"},
		{"control characters", "\x1b[2J 5s", "5s", "    1 | \uFFFD[2J 5s\n      |      ^^\n"},
		{"second line", "a\r\nb 5s\r\nc", "5s", "    2 | b 5s\n      |   ^^\n"},
		{"mark over lines", "a \"b\nc\"", "\"b\nc\"", "    1 | a \"b\n      |   ^^\n"},
		{"end of text", "a", "", "    1 | a\n      |  ^\n"},
		{
			"long line", long + " 5s " + long, "5s",
			"    1 | " + long[:79] + " 5s " + long[:77] + "\n      | " + strings.Repeat(" ", 80) + "^^\n",
		},
	}
	for _, test := range tests {
		at := newCursor(test.src)
		if i := strings.Index(test.src, test.mark); test.mark != "" {
			at.advanceTo(i)
		} else {
			at.advanceTo(len(test.src))
		}
		start := at.Pos
		at.advanceTo(int(at.Offset) + len(test.mark))
		ds := Diagnostics{Errorf("f", Span{start, at.Pos}, "m")}
		got := string(ds.AppendText(nil, func(string) []byte { return []byte(test.src) }))
		if _, got, _ = strings.Cut(got, "m\n"); got != test.want {
			t.Errorf("%s: excerpt\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

func TestDiagnosticText(t *testing.T) {
	span := Span{Pos{2, 1, 3}, Pos{3, 1, 4}}
	d := Warningf("a.kdl", span, "odd %d", 1).WithHint("do %s", "that").WithRelated("b.kdl", span, "first here")
	sources := map[string]string{"a.kdl": "n 1\n", "b.kdl": "m 2\n"}
	got := string(d.AppendText(nil, func(file string) []byte { return []byte(sources[file]) }))
	want := "a.kdl:1:3: warning: odd 1\n    1 | n 1\n      |   ^\nhint: do that\nb.kdl:1:3: first here\n    1 | m 2\n      |   ^\n"
	if got != want {
		t.Errorf("text =\n%s\nwant\n%s", got, want)
	}
	if got, want := d.String(), "a.kdl:1:3: warning: odd 1 (do that)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if (Diagnostics{d}).HasErrors() {
		t.Error("a warning counts as an error")
	}
	// No source, no place, and a place outside the source.
	far := Errorf("c.kdl", Span{Pos{99, 9, 9}, Pos{100, 9, 10}}, "far")
	got = string(Diagnostics{Errorf("", Span{}, "bare"), Errorf("c.kdl", Span{}, "file"), far}.AppendText(nil, func(string) []byte { return []byte("x") }))
	if want := "error: bare\nc.kdl: error: file\nc.kdl:9:9: error: far\n"; got != want {
		t.Errorf("text =\n%s\nwant\n%s", got, want)
	}
}

func TestLimits(t *testing.T) {
	nested := strings.Repeat("a {", 200) + strings.Repeat("}", 200)
	_, ds := Parse("t", []byte(nested), Options{})
	if len(ds) != 1 || !strings.Contains(ds[0].Message, "more than 128 deep") {
		t.Errorf("200 blocks: %v, want one error of depth", ds)
	}
	if _, ds = Parse("t", []byte(nested), Options{DepthMax: 200}); ds.HasErrors() {
		t.Errorf("200 blocks of 200: %v, want none", ds)
	}
	doc, ds := Parse("t", []byte("abcdef"), Options{BytesMax: 5})
	if len(ds) != 1 || !strings.Contains(ds[0].Message, "over the limit of 5") || doc == nil {
		t.Errorf("6 bytes of 5: %v, want one error of size", ds)
	}
	if _, ds = Parse("t", []byte("abcde"), Options{BytesMax: 5}); ds.HasErrors() {
		t.Errorf("5 bytes of 5: %v, want none", ds)
	}
	_, ds = Parse("t", []byte(strings.Repeat("a 1s\n", 5000)), Options{})
	if len(ds) != diagnosticsMax+1 || !strings.Contains(ds[diagnosticsMax].Message, "too many errors") {
		t.Errorf("5000 errors give %d diagnostics, want %d", len(ds), diagnosticsMax+1)
	}
}
