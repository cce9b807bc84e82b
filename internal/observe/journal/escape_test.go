package journal

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendQuoted(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 0, `""`},
		{"/v1/x", 0, `"/v1/x"`},
		{`a"b\c`, 0, `"a\x22b\\c"`},
		{"a\nb\rc\td\x00\x1b\x7f", 0, `"a\nb\rc\td\x00\x1b\x7f"`},
		{"caf\u00e9 \u65e5", 0, "\"caf\u00e9 \u65e5\""},
		{"\xff\xc3", 0, `"\xff\xc3"`},
		{"\u0085\u2028\u202e\ufeff", 0, `"\u0085\u2028\u202e\ufeff"`},
		{"abcdef", 4, `"abcd..."`},
		{"abc\u65e5", 4, `"abc..."`},
		{"abcd", 4, `"abcd"`},
		{"\x80\x80\x80\x80\x80\x80", 5, `"\x80..."`},
	} {
		if got := string(AppendQuoted(nil, test.in, test.limit)); got != test.want {
			t.Errorf("AppendQuoted(%q, %d) = %s, want %s", test.in, test.limit, got, test.want)
		}
		if got := string(AppendQuoted(nil, []byte(test.in), test.limit)); got != test.want {
			t.Errorf("AppendQuoted([]byte(%q), %d) = %s, want %s", test.in, test.limit, got, test.want)
		}
	}
}

// FuzzEscape checks that a quoted value is one line without an inner quote that
// Go reads back unchanged, and that the JSON form is JSON.
func FuzzEscape(f *testing.F) {
	f.Add("/v1/x", 0)
	f.Add("a\"\\\n\x00\xff\u2028\u202e\U0001f600", 7)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		quoted := string(AppendQuoted(nil, s, 0))
		back, err := strconv.Unquote(quoted)
		if err != nil || back != s {
			t.Errorf("Unquote(%s) = %q, %v, want %q", quoted, back, err, s)
		}
		if inner := quoted[1 : len(quoted)-1]; strings.ContainsAny(inner, "\"\n\r\x00\x1b\x7f") || !utf8.ValidString(inner) {
			t.Errorf("AppendQuoted(%q) = %s", s, quoted)
		}
		var v string
		if j := AppendJSON(nil, s, 0); json.Unmarshal(j, &v) != nil || v != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("AppendJSON(%q) = %s, which reads %q", s, j, v)
		}
		if limit > 0 {
			if got := AppendQuoted(nil, s, limit); len(got) > 4*min(limit, len(s))+5 {
				t.Errorf("AppendQuoted(%q, %d) has %d bytes", s, limit, len(got))
			}
			if j := AppendJSON(nil, s, limit); !json.Valid(j) {
				t.Errorf("AppendJSON(%q, %d) = %s", s, limit, j)
			}
		}
	})
}
