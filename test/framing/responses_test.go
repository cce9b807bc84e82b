package framing

import (
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// response is one answer of a hostile or odd origin. want is the status that the client
// sees; whole says that it sees a complete message with content.
type response struct {
	name, rfc string
	raw       string
	want      int
	whole     bool
	content   string
	not       string // never reaches the client
}

const ok = "HTTP/1.1 200 OK\r\n"

var responses = []response{
	{"length", "9112 6.2", ok + "Content-Length: 2\r\n\r\nok", 200, true, "ok", ""},
	{"chunked", "9112 7.1", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, true, "ok", ""},
	{"until close", "9112 6.3", ok + "\r\nok", 200, true, "ok", ""},
	{"HTTP/1.0", "9112 2.3", "HTTP/1.0 200 OK\r\n\r\nok", 200, true, "ok", ""},
	{"no reason", "9112 4", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, true, "ok", ""},
	{"204", "9110 15.3.5", "HTTP/1.1 204 No Content\r\n\r\n", 204, true, "", ""},
	{"304", "9110 15.4.5", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", 304, true, "", ""},
	{"103 and 200", "9110 15.2", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nok", 103, true, "ok", ""},
	{"hop-by-hop", "9110 7.6.1", ok + "Keep-Alive: x\r\nConnection: x-a\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok", 200, true, "ok", "X-A"},
	{"garbage behind", "9112 9.3", ok + "Content-Length: 2\r\n\r\nokHTTP/1.1 200 EVIL\r\n\r\n", 200, true, "ok", "EVIL"},
	{"CL and TE", "9112 6.3", ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, true, "", ""},
	{"two lengths", "9112 6.3", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502, true, "", ""},
	{"two same lengths", "9112 6.3", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", 502, true, "", ""},
	{"signed length", "9112 6.3", ok + "Content-Length: +2\r\n\r\nok", 502, true, "", ""},
	{"empty length", "9112 6.3", ok + "Content-Length:\r\n\r\n", 502, true, "", ""},
	{"gzip coding", "9112 6.1", ok + "Transfer-Encoding: gzip\r\n\r\n", 502, true, "", ""},
	{"coding in 1.0", "9112 6.1", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, true, "", ""},
	{"fold", "9112 5.2", ok + "A: b\r\n c\r\nContent-Length: 0\r\n\r\n", 502, true, "", ""},
	{"bare LF", "9112 2.2", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", 502, true, "", ""},
	{"NUL", "9110 5.5", ok + "A: \x00\r\nContent-Length: 0\r\n\r\n", 502, true, "", ""},
	{"space before colon", "9112 5.1", ok + "A : b\r\nContent-Length: 0\r\n\r\n", 502, true, "", ""},
	{"not HTTP", "9112 4", "SSH-2.0-x\r\n", 502, true, "", "SSH"},
	{"status 99", "9110 15", "HTTP/1.1 099 x\r\n\r\n", 502, true, "", ""},
	{"status 600", "9110 15", "HTTP/1.1 600 x\r\n\r\n", 502, true, "", ""},
	{"status of letters", "9112 4", "HTTP/1.1 2xx OK\r\n\r\n", 502, true, "", ""},
	{"HTTP/2.0", "9112 2.3", "HTTP/2.0 200 OK\r\n\r\n", 502, true, "", ""},
	{"unasked 101", "9110 15.2.2", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nEVIL", 502, true, "", "EVIL"},
	{"head too large", "9112 5.4", ok + "A: " + strings.Repeat("a", 20000) + "\r\n\r\n", 502, true, "", ""},
	{"flood of 1xx", "9110 15.2", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100), 502, true, "", ""},
	{"nothing", "9112 8", "", 502, true, "", ""},
	{"half a head", "9112 8", "HTTP/1.1 200 OK\r\nContent-", 502, true, "", ""},
	{"cut length", "9112 8", ok + "Content-Length: 5\r\n\r\nab", 200, false, "", ""},
	{"cut chunk", "9112 8", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", 200, false, "", ""},
	{"chunked without end", "9112 8", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", 200, false, "", ""},
	{"chunk size of letters", "9112 7.1", ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n", 502, true, "", ""},
}

// TestResponses has an origin give each answer and close. A part of a message must never
// look whole to the client.
func TestResponses(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	addr := start(t, o)
	for _, r := range responses {
		t.Run(r.name, func(t *testing.T) {
			o.SetScript(origin.Raw(r.raw))
			o.CloseConns()
			c, err := rawclient.Dial(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			got, err := c.ReadResponse("POST")
			if got.Status != r.want {
				t.Fatalf("RFC %s: status = %d (%v), want %d", r.rfc, got.Status, err, r.want)
			}
			if r.want == 103 {
				got, err = c.ReadFinalResponse("POST")
			}
			if whole := err == nil; whole != r.whole {
				t.Fatalf("RFC %s: the client reads a whole message: %v (%v), want %v", r.rfc, whole, err, r.whole)
			}
			if r.content != "" && got.Text() != r.content {
				t.Errorf("RFC %s: content %q, want %q", r.rfc, got.Text(), r.content)
			}
			if r.not != "" && strings.Contains(string(got.Raw), r.not) {
				t.Errorf("RFC %s: the client received %q", r.rfc, got.Raw)
			}
		})
	}
}

// Requests that come in one write are answered in order, also behind one with content.
func TestPipelining(t *testing.T) {
	o := origin.Start(t, origin.Echo())
	addr := start(t, o)
	c, err := rawclient.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
		"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nHEAD /4 HTTP/1.1\r\nHost: a\r\n\r\nGET /5 HTTP/1.1\r\nHost: a\r\n\r\n")
	all, err := c.ReadResponses("GET", "POST", "POST", "HEAD", "GET")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"GET /1 ", "POST /2 ", "POST /3 ", "", "GET /5 "} {
		if all[i].Status != 200 || !strings.Contains(all[i].Text(), want) {
			t.Errorf("answer %d = %d %q, want %q", i, all[i].Status, all[i].Text(), want)
		}
	}
}
