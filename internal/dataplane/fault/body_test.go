package fault

import (
	"bytes"
	"encoding/json"
	"html"
	"strings"
	"testing"
)

func TestFormOf(t *testing.T) {
	for _, test := range []struct {
		accept string
		want   Form
	}{
		{"", FormText},
		{"*/*", FormText},
		{"application/json", FormJSON},
		{"Application/JSON; charset=utf-8", FormJSON},
		{"application/problem+json", FormJSON},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FormHTML},
		{"text/plain, text/html", FormText},
		{"text/html;q=0.4, application/json;q=0.5", FormJSON},
		{"text/html;q=0, application/json;q=0.001", FormJSON},
		{"text/html;q=0", FormText},
		{"text/html;q=2, application/json;q=1x", FormText},
		{"text/html;level=1;q=1.000", FormHTML},
		{"image/png, , ;q=1, text", FormText},
	} {
		if got := FormOf([]byte(test.accept)); got != test.want {
			t.Errorf("FormOf(%q) = %v, want %v", test.accept, got, test.want)
		}
	}
}

func TestAppendBody(t *testing.T) {
	for _, test := range []struct {
		kind Kind
		form Form
		id   string
		want string
	}{
		{UpstreamRefused, FormText, "7f3a", "502 Bad Gateway\ncode U01, request 7f3a\n"},
		{UpstreamRefused, FormText, "", "502 Bad Gateway\ncode U01\n"},
		{HeadTooLarge, FormText, "a\nb", "431 Request Header Fields Too Large: request head too large\ncode C15, request a?b\n"},
		{UpstreamRefused, FormJSON, `a"b\`, `{"status":502,"title":"Bad Gateway","code":"U01","request_id":"a\"b\\"}` + "\n"},
		{NoRoute, FormJSON, "x", `{"status":404,"title":"Not Found","code":"C27","detail":"no route matches","request_id":"x"}` + "\n"},
		{Internal, FormHTML, "<b>&", "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>500 Internal Server Error</title></head>\n" +
			"<body><h1>500 Internal Server Error</h1>\n<p>code S01, request &#60;b&#62;&#38;</p></body></html>\n"},
	} {
		got := string(AppendBody(nil, test.kind, test.kind.Status(), test.id, test.form))
		if got != test.want {
			t.Errorf("AppendBody(%v, %q, %v) = %q, want %q", test.kind, test.id, test.form, got, test.want)
		}
	}
}

// FuzzAppendBody checks that no request id can break out of its form.
func FuzzAppendBody(f *testing.F) {
	f.Add("7f3a", "text/html")
	f.Add("\"\\<>&'\x00\xff\u2028", "application/json;q=0.1")
	f.Fuzz(func(t *testing.T, id, accept string) {
		FormOf([]byte(accept))
		body := AppendBody(nil, NoRoute, 404, id, FormJSON)
		var v struct {
			ID string `json:"request_id"`
		}
		if err := json.Unmarshal(body, &v); err != nil || bytes.Count(body, []byte("\n")) != 1 {
			t.Errorf("AppendBody(%q) isn't one line of JSON: %v: %q", id, err, body)
		}
		page := string(AppendBody(nil, NoRoute, 404, id, FormHTML))
		plain := string(AppendBody(nil, NoRoute, 404, "", FormHTML))
		if strings.Count(page, "<") != strings.Count(plain, "<") || !strings.Contains(html.UnescapeString(page), v.ID) {
			t.Errorf("AppendBody(%q) changes the markup: %q", id, page)
		}
	})
}
