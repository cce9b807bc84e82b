package framing

import (
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
)

// request is one message: what is sent, which statuses the RFC allows, and what the origin
// must or must not get. Lines end in CRLF unless they say otherwise.
type request struct {
	name, rfc string
	raw       string
	want      int    // status
	has, not  string // parts of what the origin received
}

// get builds a GET with further lines.
func get(lines ...string) string {
	return "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}

// post builds a POST with further lines and content.
func post(content string, lines ...string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(lines, "", ""), "\r\n") + content
}

func chunked(content string) string { return post(content, "Transfer-Encoding: chunked") }

// line builds a request with this request line.
func line(l string) string { return l + "\r\nHost: a\r\n\r\n" }

var long = strings.Repeat("a", 9000)

var requestLines = []request{
	{"plain", "9112 3", line("GET / HTTP/1.1"), 200, "GET / HTTP/1.1\r\n", ""},
	{"one empty line before", "9112 2.2", "\r\n" + line("GET / HTTP/1.1"), 200, "", ""},
	{"two spaces", "9112 3", line("GET  / HTTP/1.1"), 400, "", ""},
	{"tab", "9112 3", line("GET\t/ HTTP/1.1"), 400, "", ""},
	{"leading space", "9112 3", line(" GET / HTTP/1.1"), 400, "", ""},
	{"trailing space", "9112 3", line("GET / HTTP/1.1 "), 400, "", ""},
	{"space in target", "9112 3.2", line("GET /a b HTTP/1.1"), 400, "", ""},
	{"no version", "9112 3", line("GET /"), 400, "", ""},
	{"no target", "9112 3", line("GET HTTP/1.1"), 400, "", ""},
	{"empty method", "9112 3.1", line(" / HTTP/1.1"), 400, "", ""},
	{"method with colon", "9110 9.1", line("G:T / HTTP/1.1"), 400, "", ""},
	{"unknown method passes", "9110 9.1", line("BREW / HTTP/1.1"), 200, "BREW / HTTP/1.1", ""},
	{"long method", "9110 9.1", line(strings.Repeat("G", 40) + " / HTTP/1.1"), 400, "", ""},
	{"lower-case http", "9112 2.3", line("GET / http/1.1"), 400, "", ""},
	{"HTTP/1.2", "9110 2.5", line("GET / HTTP/1.2"), 505, "", ""},
	{"HTTP/2.0", "9110 2.5", line("GET / HTTP/2.0"), 505, "", ""},
	{"HTTP/0.9", "9110 2.5", line("GET / HTTP/0.9"), 505, "", ""},
	{"HTTP/11", "9112 2.3", line("GET / HTTP/11"), 400, "", ""},
	{"HTTP/1.10", "9112 2.3", line("GET / HTTP/1.10"), 400, "", ""},
	{"HTTP/1.", "9112 2.3", line("GET / HTTP/1."), 400, "", ""},
	{"HTTP/+1.1", "9112 2.3", line("GET / HTTP/+1.1"), 400, "", ""},
	{"bare LF after line", "9112 2.2", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "", ""},
	{"bare CR in line", "9112 2.2", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400, "", ""},
	{"NUL in target", "9112 3.2", line("GET /\x00 HTTP/1.1"), 400, "", ""},
	{"high byte in target", "9112 3.2", line("GET /\xc3\xa9 HTTP/1.1"), 400, "", ""},
	{"fragment", "9112 3.2", line("GET /#x HTTP/1.1"), 400, "", ""},
	{"target too long", "9110 15.5.15", line("GET /" + long + " HTTP/1.1"), 414, "", ""},
	{"HTTP/1.0 is answered and forwarded as 1.1", "9112 2.3", line("GET / HTTP/1.0"), 200, "GET / HTTP/1.1\r\n", ""},
	{"CONNECT", "9110 9.3.6", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, "", ""},
	{"PRI of HTTP/2", "9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "", ""},
}

var targets = []request{
	{"absolute-form agrees", "9112 3.2.2", "GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /x?y HTTP/1.1\r\n", "http://"},
	{"absolute-form, other case", "9110 4.2.3", "GET HTTP://A/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /x ", ""},
	{"absolute-form disagrees", "9112 3.2.2", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "", ""},
	{"absolute-form, other port", "9112 3.2.2", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "", ""},
	{"absolute-form without path", "9112 3.2.2", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET / HTTP/1.1", ""},
	{"absolute-form with user", "9110 4.2.4", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "", ""},
	{"other scheme", "9112 3.2.2", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "", ""},
	{"no slash", "9112 3.2.1", line("GET x HTTP/1.1"), 400, "", ""},
	{"asterisk GET", "9112 3.2.4", line("GET * HTTP/1.1"), 400, "", ""},
	{"query only", "9112 3.2.1", line("GET ?x HTTP/1.1"), 400, "", ""},
	{"query kept", "9110 7.1", line("GET /?a=%2f&b HTTP/1.1"), 200, "GET /?a=%2f&b HTTP", ""},
	{"empty query kept", "9110 7.1", line("GET /? HTTP/1.1"), 200, "GET /? HTTP", ""},
	{"dot segments", "3986 5.2.4", line("GET /a/../b HTTP/1.1"), 200, "GET /b HTTP", ".."},
	{"escaped dot segments", "3986 6.2.2", line("GET /a/%2e%2E/b HTTP/1.1"), 200, "GET /b HTTP", "%2"},
	{"escaped slash", "threat 7", line("GET /a%2fb HTTP/1.1"), 400, "", ""},
	{"backslash", "threat 7", line("GET /a\\b HTTP/1.1"), 400, "", ""},
	{"escaped NUL", "threat 7", line("GET /a%00b HTTP/1.1"), 400, "", ""},
	{"broken escape", "3986 2.1", line("GET /a%zz HTTP/1.1"), 400, "", ""},
	{"double slash", "threat 7", line("GET //a HTTP/1.1"), 200, "GET /a HTTP", "//a"},
	{"parameter on dots", "threat 7", line("GET /a/..;x/b HTTP/1.1"), 400, "", ""},
}

var hosts = []request{
	{"missing", "9112 3.2", "GET / HTTP/1.1\r\n\r\n", 400, "", ""},
	{"missing in 1.0", "9112 3.2", "GET / HTTP/1.0\r\n\r\n", 200, "", ""},
	{"twice", "9112 3.2", get("Host: a"), 400, "", ""},
	{"twice, differing", "9112 3.2", get("host: b"), 400, "", ""},
	{"empty", "9110 4.2.1", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "", ""},
	{"with path", "9110 7.2", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "", ""},
	{"with user", "9110 7.2", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "", ""},
	{"two in one", "9110 7.2", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "", ""},
	{"port", "9110 7.2", "GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n", 200, "Host: a:8080\r\n", ""},
	{"port too large", "9110 7.2", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400, "", ""},
	{"port no number", "9110 7.2", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400, "", ""},
	{"IPv6", "9110 7.2", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200, "Host: [::1]:80", ""},
	{"IPv6 unclosed", "9110 7.2", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "", ""},
	{"IPv6 bare", "9110 7.2", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400, "", ""},
}

var fields = []request{
	{"space before colon", "9112 5.1", get("A : b"), 400, "", ""},
	{"no colon", "9112 5", get("Abc"), 400, "", ""},
	{"empty name", "9112 5", get(": b"), 400, "", ""},
	{"fold", "9112 5.2", get("A: b", " c"), 400, "", ""},
	{"fold by tab", "9112 5.2", get("A: b", "\tc"), 400, "", ""},
	{"fold first", "9112 2.2", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "", ""},
	{"NUL", "9110 5.5", get("A: b\x00c"), 400, "", ""},
	{"bare CR", "9110 5.5", get("A: b\rc"), 400, "", ""},
	{"bare LF", "9112 2.2", "GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", 400, "", ""},
	{"bare LF at the end", "9112 2.2", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "", ""},
	{"DEL", "9110 5.5", get("A: b\x7fc"), 400, "", ""},
	{"escape character", "9110 5.5", get("A: \x1b[31m"), 400, "", ""},
	{"obs-text passes", "9110 5.5", get("A: \xe9"), 200, "A: \xe9\r\n", ""},
	{"tab in value passes", "9110 5.5", get("A: b\tc"), 200, "A: b\tc\r\n", ""},
	{"bad name character", "9110 5.1", get("A(b): c"), 400, "", ""},
	{"high byte in name", "9110 5.1", get("\xc3: c"), 400, "", ""},
	{"empty value passes", "9110 5.5", get("A:"), 200, "A:\r\n", ""},
	{"too many", "9110 5.4", get(strings.Split(strings.Repeat("A: b\n", 110), "\n")[:110]...), 431, "", ""},
	{"too large", "9110 5.4", get("A: " + long), 431, "", ""},
	{"100 pass", "9110 5.4", get(strings.Split(strings.Repeat("A: b\n", 99), "\n")[:99]...), 200, "", ""},
}

var lengths = []request{
	{"plain", "9112 6.2", post("abc", "Content-Length: 3"), 200, "Content-Length: 3\r\n\r\nabc", ""},
	{"zero", "9112 6.2", post("", "Content-Length: 0"), 200, "Content-Length: 0\r\n", ""},
	{"empty", "9112 6.3", post("", "Content-Length:"), 400, "", ""},
	{"plus", "9110 8.6", post("abc", "Content-Length: +3"), 400, "", ""},
	{"minus", "9110 8.6", post("", "Content-Length: -1"), 400, "", ""},
	{"hex", "9110 8.6", post("abc", "Content-Length: 0x3"), 400, "", ""},
	{"space inside", "9110 8.6", post("abc", "Content-Length: 3 3"), 400, "", ""},
	{"list of same", "9112 6.3", post("abc", "Content-Length: 3, 3"), 400, "", ""},
	{"twice same", "9112 6.3", post("abc", "Content-Length: 3", "Content-Length: 3"), 400, "", ""},
	{"twice differing", "9112 6.3", post("abc", "Content-Length: 3", "Content-Length: 0"), 400, "", ""},
	{"huge", "9110 8.6", post("", "Content-Length: 99999999999999999999"), 400, "", ""},
	{"fraction", "9110 8.6", post("abc", "Content-Length: 3.0"), 400, "", ""},
	{"letters", "9110 8.6", post("abc", "Content-Length: three"), 400, "", ""},
	{"above the limit", "9110 15.5.14", post("", "Content-Length: 1001"), 413, "", ""},
	{"with TE", "9112 6.1", post("0\r\n\r\n", "Content-Length: 3", "Transfer-Encoding: chunked"), 400, "", ""},
	{"with TE, other order", "9112 6.1", post("0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Length: 5"), 400, "", ""},
	{"GET with content", "9110 9.3.1", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 200, "Content-Length: 1\r\n\r\nx", ""},
	{"cut off", "9112 8", post("ab", "Content-Length: 3"), 400, "", ""},
}

var codings = []request{
	{"chunked becomes framed anew", "9112 7.1", chunked("3\r\nabc\r\n0\r\n\r\n"), 200, "\r\n\r\nabc", "3\r\nabc"},
	{"two chunks", "9112 7.1", chunked("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), 200, "abc", ""},
	{"other case", "9110 10.1.4", post("0\r\n\r\n", "Transfer-Encoding: CHUNKED"), 200, "", ""},
	{"gzip", "9112 6.3", post("", "Transfer-Encoding: gzip"), 400, "", ""},
	{"gzip, chunked", "9112 6.1", post("0\r\n\r\n", "Transfer-Encoding: gzip, chunked"), 501, "", ""},
	{"chunked, gzip", "9112 6.3", post("", "Transfer-Encoding: chunked, gzip"), 400, "", ""},
	{"chunked, chunked", "9112 6.3", post("0\r\n\r\n", "Transfer-Encoding: chunked, chunked"), 400, "", ""},
	{"chunked, gzip, chunked", "9112 7.1", post("0\r\n\r\n", "Transfer-Encoding: chunked, gzip, chunked"), 400, "", ""},
	{"identity", "9112 6.3", post("", "Transfer-Encoding: identity"), 400, "", ""},
	{"twice", "9112 6.1", post("0\r\n\r\n", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400, "", ""},
	{"empty", "9112 6.3", post("", "Transfer-Encoding:"), 400, "", ""},
	{"quoted", "9112 6.3", post("", `Transfer-Encoding: "chunked"`), 400, "", ""},
	{"parameter", "9112 7.1", post("", "Transfer-Encoding: chunked;a=b"), 400, "", ""},
	{"in HTTP/1.0", "9112 6.1", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "", ""},
	{"look-alike", "threat 1", post("abc", "Transfer_Encoding: chunked", "Content-Length: 3"), 200, "Content-Length: 3", ""},
	{"vertical tab", "9110 5.5", post("", "Transfer-Encoding: \x0bchunked"), 400, "", ""},
}

var chunks = []request{
	{"leading zeros", "9112 7.1", chunked("0003\r\nabc\r\n0\r\n\r\n"), 200, "abc", ""},
	{"upper-case hex", "9112 7.1", chunked("A\r\n0123456789\r\n0\r\n\r\n"), 200, "0123456789", ""},
	{"extension dropped", "9112 7.1.1", chunked("3;x=y\r\nabc\r\n0\r\n\r\n"), 200, "abc", "x=y"},
	{"trailer dropped", "9112 7.1.2", chunked("0\r\nX-T: 1\r\n\r\n"), 200, "", "X-T"},
	{"size overflow", "9112 7.1", chunked("FFFFFFFFFFFFFFFF1\r\nabc\r\n0\r\n\r\n"), 400, "", ""},
	{"negative", "9112 7.1", chunked("-1\r\n\r\n0\r\n\r\n"), 400, "", ""},
	{"0x", "9112 7.1", chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400, "", ""},
	{"no size", "9112 7.1", chunked("\r\nabc\r\n0\r\n\r\n"), 400, "", ""},
	{"space before", "9112 7.1", chunked(" 3\r\nabc\r\n0\r\n\r\n"), 400, "", ""},
	{"space behind", "9112 7.1", chunked("3 \r\nabc\r\n0\r\n\r\n"), 400, "", ""},
	{"bare LF after size", "9112 7.1", chunked("3\nabc\r\n0\r\n\r\n"), 400, "", ""},
	{"bare LF after data", "9112 7.1", chunked("3\r\nabc\n0\r\n\r\n"), 400, "", ""},
	{"no CRLF after data", "9112 7.1", chunked("3\r\nabc0\r\n\r\n"), 400, "", ""},
	{"too much data", "9112 7.1", chunked("3\r\nabcd\r\n0\r\n\r\n"), 400, "", ""},
	{"bare LF at the end", "9112 7.1", chunked("0\r\n\n"), 400, "", ""},
	{"LF in extension", "9112 7.1.1", chunked("3;x\nabc\r\n0\r\n\r\n"), 400, "", ""},
	{"long extension", "9112 7.1.1", chunked("3;" + long), 400, "", ""},
	{"long trailer", "9112 7.1.2", chunked("0\r\nA: " + long), 400, "", ""},
	{"trailer without name", "9112 7.1.2", chunked("0\r\n: x\r\n\r\n"), 400, "", ""},
	{"cut off", "9112 8", chunked("3\r\nab"), 400, "", ""},
	{"without end", "9112 8", chunked("3\r\nabc\r\n"), 400, "", ""},
	{"above the limit", "9110 15.5.14", chunked("7d0\r\n" + strings.Repeat("a", 2000) + "\r\n0\r\n\r\n"), 413, "", ""},
}

var conduct = []request{
	{"hop-by-hop", "9110 7.6.1", get("Keep-Alive: 5", "Proxy-Connection: x", "TE: gzip"), 200, "", "Keep-Alive"},
	{"named by Connection", "9110 7.6.1", get("Connection: x-a", "X-A: 1"), 200, "", "X-A"},
	{"Connection may not take Host", "threat 10", get("Connection: host"), 200, "Host: a\r\n", ""},
	{"nor Cookie", "threat 10", get("Connection: cookie", "Cookie: c=1"), 200, "Cookie: c=1", ""},
	{"nor Authorization", "threat 10", get("Connection: authorization", "Authorization: x"), 200, "Authorization: x", ""},
	{"nor what the proxy sets", "threat 10", get("Connection: x-forwarded-for, x-request-id"), 200, "X-Forwarded-For: 127.0.0.1\r\n", ""},
	{"forged X-Forwarded-For", "threat 9", get("X-Forwarded-For: 6.6.6.6"), 200, "X-Forwarded-For: 127.0.0.1\r\n", "6.6.6.6"},
	{"forged Forwarded", "threat 9", get("Forwarded: for=6.6.6.6"), 200, "Forwarded: for=127.0.0.1", "6.6.6.6"},
	{"forged X-Real-IP", "threat 9", get("X-Real-IP: 6.6.6.6"), 200, "", "6.6.6.6"},
	{"underscore look-alike", "threat 9", get("X_Forwarded_For: 6.6.6.6"), 200, "", "6.6.6.6"},
	{"forged request id", "threat 9", get("X-Request-Id: forged"), 200, "", "forged"},
	{"upgrade not allowed here", "9110 7.8", get("Connection: Upgrade", "Upgrade: websocket"), 200, "", "Upgrade"},
	{"h2c never", "threat 2", "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n", 200, "", "h2c"},
	{"unknown expectation", "9110 10.1.1", get("Expect: magic"), 417, "", ""},
	{"Expect answered here", "9110 10.1.1", post("abc", "Expect: 100-continue", "Content-Length: 3"), 200, "abc", "Expect"},
	{"Via is added", "9110 7.6.3", get("Via: 1.1 x"), 200, "Via: 1.1 x, 1.1 sentinel", ""},
}

func TestRequests(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	addr := start(t, o)
	n := 0
	for table, rows := range map[string][]request{
		"request line": requestLines, "target": targets, "host": hosts, "field": fields,
		"length": lengths, "coding": codings, "chunk": chunks, "conduct": conduct,
	} {
		for _, r := range rows {
			n++
			t.Run(table+"/"+r.name, func(t *testing.T) { check(t, o, addr, &r) })
		}
	}
	if n < 150 {
		t.Errorf("only %d messages", n)
	}
}

func check(t *testing.T, o *origin.Origin, addr string, r *request) {
	before := len(o.Received())
	status, answer, _ := exchange(t, addr, r.raw)
	got := string(o.Received()[before:])
	if status != r.want {
		t.Fatalf("RFC %s: status = %d, want %d\nsent %.200q\nanswer %.200q", r.rfc, status, r.want, r.raw, answer)
	}
	if status == 200 && strings.Count(answer, "HTTP/1.1 ") != 1 && !strings.HasPrefix(answer, "HTTP/1.1 100") {
		t.Errorf("RFC %s: one request, answer %.200q", r.rfc, answer)
	}
	if r.has != "" && !strings.Contains(got, r.has) {
		t.Errorf("RFC %s: the origin received %q, want %q in it", r.rfc, got, r.has)
	}
	if r.not != "" && strings.Contains(got, r.not) {
		t.Errorf("RFC %s: the origin received %q, must not hold %q", r.rfc, got, r.not)
	}
}
