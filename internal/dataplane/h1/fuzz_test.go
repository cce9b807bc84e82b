package h1

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"

	"sentinel/internal/dataplane/message"
)

// FuzzRequest compares parseRequest with net/http: in a head that both accept they read the
// same method and host. It does not hold net/http to accept what parseRequest does.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /a?b HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h message.Head
		done, err := parseRequest(b, &h, &limits{headBytesMax: 16 << 10, targetBytesMax: 8 << 10, fieldsMax: 100})
		if !done || err != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			t.Skip("net/http refuses this head: nothing to compare")
		}
		if got := string(h.Bytes(h.MethodAt)); got != r.Method {
			t.Errorf("method of %q = %v, want %v", b, got, r.Method)
		}
		if got := string(h.Bytes(h.Authority)); got != r.Host {
			t.Errorf("host of %q = %v, want %v", b, got, r.Host)
		}
	})
}
