package system

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestErrorBodies(t *testing.T) {
	o := httptest.NewServer(http.HandlerFunc(digest))
	t.Cleanup(o.Close)
	p := start(t, fmt.Sprintf(`
routes { route "r" { matches { path-prefix "/r" }; upstream "u" } }
upstreams { upstream "u" { target %q } }
limits { max-body-size 1000 }
timeouts { read-secs 1 }
`, o.Listener.Addr()))
	long := strings.Repeat("x", 9000)
	for _, c := range []struct {
		code int
		head string // without the empty line
		rest string
	}{
		{404, "GET /none HTTP/1.1\r\nHost: x\r\n", ""},
		{413, "POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n", ""},
		{413, "POST /r HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n", "3e9\r\n" + long[:1001] + "\r\n0\r\n\r\n"},
		{431, "GET /r HTTP/1.1\r\nHost: x\r\nX-Long: " + long + "\r\n", ""},
		{414, "GET /r" + long + " HTTP/1.1\r\nHost: x\r\n", ""},
		{408, "POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n", "half"},
	} {
		for accept, mark := range map[string]string{"application/json": "{", "text/html": "<", "text/plain": ""} {
			t.Run(fmt.Sprintf("%d %.30q %s", c.code, c.head, accept), func(t *testing.T) {
				t.Parallel()
				line, fields, _ := strings.Cut(c.head, "\r\n")
				resp, body := raw(t, p.http, line+"\r\nAccept: "+accept+"\r\n"+fields+"\r\n"+c.rest)
				if resp.StatusCode != c.code {
					t.Fatalf("%d %q, want %d", resp.StatusCode, body, c.code)
				}
				if !strings.Contains(body, strconv.Itoa(c.code)) {
					t.Errorf("body %q, want the code in it", body)
				}
				if c.code == 431 || c.code == 414 {
					return // a head that isn't read whole has no Accept
				}
				if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, accept) {
					t.Errorf("Content-Type %q, want %s", got, accept)
				}
				if !strings.HasPrefix(strings.TrimSpace(body), mark) {
					t.Errorf("body %q, want %q first", body, mark)
				}
			})
		}
	}
}

// raw sends bytes on a connection of its own and reads one response.
func raw(t *testing.T, address, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}
