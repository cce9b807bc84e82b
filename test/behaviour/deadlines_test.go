package behaviour

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// wait is one place where an exchange, or a connection without one, can come to a standstill.
type wait struct {
	name string
	text string // the one deadline that is short; all others are long
	sent string // by the client
	drip string // then again and again, until the connection ends
	deaf bool   // the client reads nothing until the proxy has had time to end it
	want string // the status of the last answer, or how the connection ends: "end", "cut"
}

const (
	chunkedPost = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	sizedPost   = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"
)

// timeouts returns a block in which every deadline but those in short is longer than the test
// has patience.
func timeouts(short string) string {
	text := short
	for _, key := range []string{"connect-secs 60", "request-secs 60", "read-secs 60", "write-secs 60", "header-secs 60", "idle-secs 60", "min-body-rate 0", "min-response-rate 0"} {
		if name, _, _ := strings.Cut(key, " "); !strings.Contains(short, name) {
			text += "; " + key
		}
	}
	return "timeouts { " + text + " }\n"
}

func waits() []wait {
	return []wait{
		// The client's side.
		{"nothing sent", "header-secs 0.2", "", "", false, "end"},
		{"in the request line", "header-secs 0.2", "GET / HT", "", false, "408"},
		{"in a field", "header-secs 0.2", "GET / HTTP/1.1\r\nHost: h\r\nA", "", false, "408"},
		{"before the end of the head", "header-secs 0.2", "GET / HTTP/1.1\r\nHost: h\r\n", "", false, "408"},
		{"fields without end", "header-secs 0.2", "GET / HTTP/1.1\r\nHost: h\r\n", "A: b\r\n", false, "408"},
		{"an empty line before the request", "header-secs 0.2", "\r\n", "", false, "end"},
		{"in the head of a second request", "header-secs 0.2", ask + "GET / HT", "", false, "408"},
		{"in the head behind content", "header-secs 0.2", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxGET / HT", "", false, "408"},
		{"idle", "idle-secs 0.2", ask, "", false, "200"},
		{"idle, with an empty line", "idle-secs 0.2", ask + "\r\n", "", false, "200"},
		{"before content", "read-secs 0.2", sizedPost, "", false, "408"},
		{"in content", "read-secs 0.2", sizedPost + "abc", "", false, "408"},
		{"content that was asked for", "read-secs 0.2", strings.Replace(sizedPost, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1), "", false, "408"},
		{"before a chunk", "read-secs 0.2", chunkedPost, "", false, "408"},
		{"in a chunk size", "read-secs 0.2", chunkedPost + "1", "", false, "408"},
		{"in a chunk", "read-secs 0.2", chunkedPost + "5\r\nab", "", false, "408"},
		{"behind a chunk", "read-secs 0.2", chunkedPost + "2\r\nab", "", false, "408"},
		{"in trailers", "read-secs 0.2", chunkedPost + "0\r\nA: b\r\n", "", false, "408"},
		{"content in drips", "read-secs 0.2; min-body-rate 100000", sizedPost, "x", false, "408"},
		{"chunks in drips", "read-secs 0.2; min-body-rate 100000", chunkedPost, "1\r\nx\r\n", false, "408"},
		{"upload as long as the request may last", "request-secs 0.3", sizedPost, "x", false, "504"},
		{"content nobody wants", "read-secs 0.2", strings.Replace(sizedPost, "POST /", "POST /early", 1), "", false, "200"},
		{"content that is refused", "read-secs 0.2", "POST /nowhere HTTP/1.1\r\nHost: other\r\nContent-Length: 100\r\n\r\n", "", false, "404"},
		{"a response that isn't read", "write-secs 0.2", "GET /large HTTP/1.1\r\nHost: h\r\n\r\n", "", true, "cut"},
		{"a chunked response that isn't read", "write-secs 0.2", "GET /large-chunks HTTP/1.1\r\nHost: h\r\n\r\n", "", true, "cut"},
		{"answers that aren't read", "write-secs 0.2", strings.Repeat("GET /some HTTP/1.1\r\nHost: h\r\n\r\n", 200), "", true, "cut"},
		// The upstream's side.
		{"no response", "read-secs 0.2", "GET /silent HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "", false, "504"},
		{"half a response head", "read-secs 0.2", "GET /half-head HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "", false, "504"},
		{"a response head in drips", "read-secs 0.2", "GET /drip-head HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "", false, "504"},
		{"informational responses in drips", "read-secs 0.2", "GET /interims HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "", false, "504"},
		{"half of a response", "read-secs 0.2", "GET /half HTTP/1.1\r\nHost: h\r\n\r\n", "", false, "cut"},
		{"half a chunk", "read-secs 0.2", "GET /half-chunk HTTP/1.1\r\nHost: h\r\n\r\n", "", false, "cut"},
		{"a response as long as the request may last", "request-secs 0.3", "GET /drip HTTP/1.1\r\nHost: h\r\n\r\n", "", false, "cut"},
		{"no response, as long as the request may last", "request-secs 0.3", "GET /silent HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "", false, "504"},
		{"content that the upstream doesn't take", "write-secs 0.2", "POST /deaf HTTP/1.1\r\nHost: h\r\nContent-Length: 40000000\r\n\r\n", strings.Repeat("x", 1<<20), false, "504"},
	}
}

// standstill is an origin that answers by path, and most of the time not to the end.
func standstill(c *origin.Conn) {
	defer c.ReadUntilClose()
	for {
		r, err := c.ReadHead()
		if err != nil {
			return
		}
		if r.Target == "/deaf" {
			time.Sleep(4 * time.Second) // many times the deadline
			return
		}
		if r.Method == "POST" && r.Target != "/early" && c.ReadContent(&r) != nil {
			return
		}
		const ok = "HTTP/1.1 200 OK\r\n"
		switch r.Target {
		case "/silent":
			return
		case "/half-head":
			c.WriteString(ok + "Content-")
			return
		case "/half":
			c.WriteString(ok + "Content-Length: 10\r\n\r\nabc")
			return
		case "/half-chunk":
			c.WriteString(ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nab")
			return
		case "/drip-head":
			repeat(c, ok, "A: b\r\n")
			return
		case "/interims":
			repeat(c, "", "HTTP/1.1 103 Early Hints\r\n\r\n")
			return
		case "/drip":
			repeat(c, ok+"Content-Length: 100000\r\n\r\n", "x")
			return
		case "/large":
			c.WriteString(ok + "Content-Length: 100000000\r\n\r\n" + strings.Repeat("x", 50_000_000))
			return
		case "/large-chunks":
			c.WriteString(ok + "Transfer-Encoding: chunked\r\n\r\n")
			for chunk := "10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n"; c.WriteString(chunk) == nil; {
			}
			return
		case "/some":
			c.WriteString(ok + "Content-Length: 60000\r\n\r\n" + strings.Repeat("x", 60000))
		default:
			c.WriteString(ok + "Content-Length: 2\r\n\r\nok")
		}
	}
}

// repeat writes a text and then more until the connection ends.
func repeat(c *origin.Conn, text, more string) {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for err := c.WriteString(text); err == nil; err = c.WriteString(more) {
		<-tick.C
	}
}

// waitPatience bounds how long a wait may last whose deadline is well below a second.
const waitPatience = 8 * time.Second

// TestDeadlines brings exchanges to a standstill in every state there is: a deadline ends each.
func TestDeadlines(t *testing.T) {
	o := origin.Start(t, standstill)
	proxies := map[string]*proxy{}
	for _, w := range waits() {
		if proxies[w.text] == nil {
			proxies[w.text] = start(t, "", timeouts(w.text)+
				forward(o, `matches { host "h" }; retry-policy { max-attempts 1 }`, "")+"limits { max-body-size 0 }\n")
		}
	}
	var all sync.WaitGroup
	defer all.Wait()
	for _, w := range waits() {
		all.Go(func() {
			began := time.Now()
			got, err := w.meet(proxies[w.text].addr)
			if took := time.Since(began); err != nil || !strings.Contains(" "+w.want+" ", " "+got+" ") || took > waitPatience {
				t.Errorf("%s, with %s: %q after %v, %v, want %q", w.name, w.text, got, took, err, w.want)
			}
		})
	}
}

// meet says how an exchange of the kind ends.
func (w *wait) meet(addr string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, waitPatience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if w.deaf {
		conn.(*net.TCPConn).SetReadBuffer(8 << 10)
	}
	c := rawclient.New(conn)
	c.SetTimeout(waitPatience)
	c.Send(w.sent)
	ended := make(chan struct{})
	defer close(ended)
	if w.drip != "" {
		go func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ended:
					return
				case <-tick.C:
					if c.Send(w.drip) != nil {
						return
					}
				}
			}
		}()
	}
	if w.deaf {
		time.Sleep(2 * time.Second) // many times the deadline
	}
	raw, err := c.ReadUntilClose()
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return "lasts", err
	}
	return ending(string(raw), err), nil
}

// ending tells from all that came how the exchange has ended.
func ending(raw string, err error) string {
	at := strings.LastIndex(raw, "HTTP/1.1 ")
	if at < 0 {
		return "end"
	}
	if !whole(raw[at:]) || err != nil && err != io.EOF && strings.HasSuffix(raw, "x") {
		return "cut"
	}
	return raw[at+9 : at+12]
}

// whole reports whether an answer with a length is complete.
func whole(answer string) bool {
	head, content, ok := strings.Cut(answer, "\r\n\r\n")
	_, rest, sized := strings.Cut(head, "Content-Length: ")
	n, _, _ := strings.Cut(rest, "\r\n")
	length, err := strconv.Atoi(n)
	return ok && sized && err == nil && len(content) == length
}
