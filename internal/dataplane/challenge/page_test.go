package challenge

import (
	"bytes"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"
)

// hostile is what may stand in names that come from outside.
const hostile = "\"'><script>alert(1)</script><!--&\x00\n\r\t\xff\u2028{nonce}`${x}\\"

func TestPageIsSmall(t *testing.T) {
	c := newChallenger(t, keyA)
	for name, long := range map[string]string{
		"plain": "/", "long": "/" + strings.Repeat("a", 1<<16), "longest shown": "/" + strings.Repeat("&", (linkMax-1)/5),
		"hostile": "/" + strings.Repeat(hostile, 100),
	} {
		f := visit(long)
		f.Host, f.RequestID = bytes.Repeat([]byte("<"), 1<<16), bytes.Repeat([]byte("&"), 1<<16)
		r, _ := c.Respond(nil, f, Decision{Action: Page, Difficulty: 16, Wait: WaitMax}, start)
		if len(r.Body) >= PageMax {
			t.Errorf("the %s page has %d bytes, want less than %d", name, len(r.Body), PageMax)
		}
		t.Logf("the %s page has %d bytes", name, len(r.Body))
	}
}

// TestPageEscapes compares the tags of a hostile page with those of a good one.
func TestPageEscapes(t *testing.T) {
	c := newChallenger(t, keyA)
	tags := regexp.MustCompile(`<[^>]*>`)
	shape := func(page []byte) string {
		head, script, _ := strings.Cut(string(page), "<script nonce")
		_, tail, _ := strings.Cut(script, "</script>")
		var out []string
		for _, tag := range tags.FindAllString(head+tail, -1) {
			name, _, _ := strings.Cut(strings.Trim(tag, "<>"), " ")
			out = append(out, name)
		}
		return strings.Join(out, " ")
	}
	get := func(f *Facts) []byte {
		r, _ := c.Respond(nil, f, Decision{Action: Page, Difficulty: 12, Wait: 5}, start)
		return r.Body
	}
	good := get(visit("/x"))
	for name, change := range map[string]func(*Facts){
		"host":   func(f *Facts) { f.Host = []byte(hostile) },
		"target": func(f *Facts) { f.Target = []byte("/" + hostile) },
		"query":  func(f *Facts) { f.Target = []byte(`/x?a="><script>alert(1)</script>&b='`) },
		"id":     func(f *Facts) { f.RequestID = []byte(hostile) },
	} {
		page := get(visit("/x").with(change))
		if got, want := shape(page), shape(good); got != want {
			t.Errorf("a hostile %s changes the page to %s\nfrom %s", name, got, want)
		}
		if bytes.Contains(page, []byte("alert(1)<")) || bytes.ContainsAny(page, "\x00\r\xff") {
			t.Errorf("a hostile %s stands in the page as it came", name)
		}
	}
}

func TestPageSaysWhatItMust(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/a/b?c=d&e=f")
	r, _ := c.Respond([]byte("before"), f, Decision{Action: Page, Difficulty: 13, Wait: 8}, start)
	page := string(r.Body)
	for _, want := range []string{
		`<html lang="en">`, `role="status"`, "prefers-reduced-motion", "shop.example", "request 7f3a", `data-bits="13"`,
		`content="8;url=/.sentinel/challenge?ticket=`, "&amp;to=/a/b?c=d&#38;e=f\"", `action="/.sentinel/challenge"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if r.Status != 503 || r.RetryAfter != 8 || r.ContentType != "text/html; charset=utf-8" {
		t.Errorf("Respond = %d, Retry-After %d, %s", r.Status, r.RetryAfter, r.ContentType)
	}
	for _, bad := range []string{"http:", "https:", "//", "src=", "<link", "@import", "url("} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s: it must stand alone", bad)
		}
	}
	if left := regexp.MustCompile(`\{[a-z]+\}`).FindString(page); left != "" {
		t.Errorf("the page holds the name %s", left)
	}
	forbidding := New(Options{Status: 403}, parse(t, keyA), new(State))
	if r, _ := forbidding.Respond(nil, f, Decision{Action: Page}, start); r.Status != 403 {
		t.Errorf("Respond with status 403 = %d", r.Status)
	}
}

func TestNonceIsFresh(t *testing.T) {
	c := newChallenger(t, keyA)
	seen := map[string]bool{}
	for range 100 {
		r, _ := c.Respond(nil, visit("/x"), Decision{Action: Page, Difficulty: 12, Wait: 5}, start)
		nonce := between(t, r.Policy, "script-src 'nonce-", "'")
		if len(nonce) != NonceLen || !bytes.Contains(r.Policy, []byte("style-src 'nonce-"+nonce+"'")) {
			t.Fatalf("policy %s", r.Policy)
		}
		if n := bytes.Count(r.Body, []byte(`nonce="`+nonce+`"`)); n != 2 || bytes.Count(r.Body, []byte("nonce=")) != 2 {
			t.Fatalf("the page has the nonce of its policy %d times, want at script and style", n)
		}
		seen[nonce] = true
		for _, unsafe := range []string{"unsafe", "*", "http", "data:"} {
			if bytes.Contains(r.Policy, []byte(unsafe)) {
				t.Fatalf("policy %s holds %s", r.Policy, unsafe)
			}
		}
	}
	if len(seen) != 100 {
		t.Errorf("100 pages have %d nonces", len(seen))
	}
}

func TestNotices(t *testing.T) {
	c := newChallenger(t, keyA)
	for _, n := range []*notice{noticeCookies(), noticeFailed(), noticeEarly(), noticeEmpty(), noticeMethod()} {
		r, _ := c.notice(nil, n, &shown{to: []byte(`/x"><script>`), requestID: []byte("<b>")})
		page := string(r.Body)
		for _, want := range []string{n.title, n.text, `href="/x%22%3E%3Cscript%3E"`, "request &#60;b&#62;", `lang="en"`, `role="status"`} {
			if !strings.Contains(page, want) {
				t.Errorf("the notice %q lacks %s", n.title, want)
			}
		}
		if r.Status != n.status || strings.Contains(page, "<script") || len(page) >= PageMax {
			t.Errorf("the notice %q: %d, %d bytes", n.title, r.Status, len(page))
		}
	}
}

func TestAppendProblem(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/x").with(func(f *Facts) { f.RequestID = []byte(hostile) })
	r, _ := c.Respond(nil, f, Decision{Action: Refuse}, start)
	if r.Status != 429 || r.RetryAfter != 60 || r.ContentType != "application/problem+json" || r.Policy != nil {
		t.Errorf("Respond = %+v", r)
	}
	var got struct {
		Title  string
		Status int
		ID     string `json:"request_id"`
	}
	if err := json.Unmarshal(r.Body, &got); err != nil || got.Status != 429 || got.Title != "Too Many Requests" || !strings.Contains(got.ID, "<script>") {
		t.Errorf("body %s: %+v, %v", r.Body, got, err)
	}
}

func TestSetCookie(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/")
	if got, want := string(c.AppendCookie(nil, []byte("T"), f)), "sentinel-pass4=T; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("AppendCookie = %q, want %q", got, want)
	}
	f.Secure = true
	if got := string(c.AppendCookie(nil, []byte("T"), f)); !strings.HasSuffix(got, "; Secure") {
		t.Errorf("AppendCookie = %q, want Secure over TLS", got)
	}
}

func TestAppendPath(t *testing.T) {
	for _, test := range []struct{ to, want string }{
		{"/", "/"},
		{"/a/b?c=d&e=%2F%zz#f", "/a/b?c=d&e=%2F%zz%23f"},
		{"/ä b\"<>\\^`{|}", "/%C3%A4%20b%22%3C%3E%5C%5E%60%7B%7C%7D"},
		{"/?to=//evil.example", "/?to=//evil.example"},
		{"/a//b", "/a//b"},
		{"", "/"},
		{"x", "/"},
		{"//evil.example", "/"},
		{"/\\evil.example", "/"},
		{"\\\\evil.example", "/"},
		{"/\t/evil.example", "/"},
		{"/x\r\nSet-Cookie: a=b", "/"},
		{"https://evil.example/", "/"},
		{"javascript:alert(1)", "/"},
		{" /x", "/"},
		{"/x\x7f", "/"},
		{ReservedPath + "?check=x", "/"},
	} {
		if got := string(appendPath([]byte("x"), []byte(test.to))); got != "x"+test.want {
			t.Errorf("appendPath(%q) = %q, want %q", test.to, got[1:], test.want)
		}
	}
}

func TestParseForm(t *testing.T) {
	in, grown := parseForm([]byte("x"), []byte("seed=a&&to=%2Fx%3Fy%3D1%26z+%zz%4&answer=5&seed=b&to=c&=&check&ticket="))
	if string(in.seed) != "a" || string(in.answer) != "5" || string(in.to) != "/x?y=1&z %zz%4" || in.ticket == nil || len(in.ticket)+len(in.check) != 0 {
		t.Errorf("parseForm = %q", in)
	}
	if string(grown) != "x"+string(in.to) {
		t.Errorf("parseForm appends %q", grown)
	}
	q := parseQuery([]byte("check=a&to=/x?b=c&to=d&ticket=e"))
	if string(q.check) != "a" || string(q.to) != "/x?b=c&to=d&ticket=e" || q.ticket != nil {
		t.Errorf("parseQuery = %q", q)
	}
}

func TestNumber(t *testing.T) {
	for _, test := range []struct {
		text string
		want uint64
		ok   bool
	}{
		{"0", 0, true},
		{"00012", 12, true},
		{"18446744073709551615", 1<<64 - 1, true},
		{"18446744073709551616", 0, false},
		{"99999999999999999999", 0, false},
		{"184467440737095516150", 0, false},
		{"", 0, false},
		{"-1", 0, false},
		{"1 ", 0, false},
		{"1e3", 0, false},
	} {
		if got, ok := number([]byte(test.text)); got != test.want || ok != test.ok {
			t.Errorf("number(%q) = %d, %v, want %d, %v", test.text, got, ok, test.want, test.ok)
		}
	}
}

func TestAppendText(t *testing.T) {
	got := string(appendText(nil, []byte(hostile), 1000))
	if strings.ContainsAny(got, "<>\"'\n\x00") || !strings.Contains(html.UnescapeString(got), "<script>alert(1)</script>") {
		t.Errorf("appendText = %q", got)
	}
	if got := string(appendText(nil, []byte("abc"), 2)); got != "ab" {
		t.Errorf("appendText of 2 = %q", got)
	}
}
