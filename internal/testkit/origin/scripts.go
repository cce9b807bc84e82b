package origin

import (
	"fmt"
	"net/http"
	"strings"
)

// Answer makes a script that reads requests with their content, one after the
// other, and sends what respond returns for each. It closes when the client
// does or asks for it.
func Answer(respond func(req Request) string) Script {
	return func(c *Conn) {
		for {
			req, err := c.ReadRequest()
			if err != nil {
				return
			}
			if err := c.WriteString(respond(req)); err != nil {
				return
			}
			if strings.EqualFold(req.Fields.Get("Connection"), "close") {
				return
			}
		}
	}
}

// OK answers 200 with n bytes of content.
func OK(n int) Script {
	content := strings.Repeat("x", n)
	return Answer(func(req Request) string { return Response(req, http.StatusOK, content) })
}

// Status answers with a status code and a short text as content.
func Status(code int) Script {
	return Answer(func(req Request) string { return Response(req, code, fmt.Sprintf("status %d\n", code)) })
}

// Echo answers 200 with the request head it received as content.
func Echo() Script {
	return Answer(func(req Request) string { return Response(req, http.StatusOK, string(req.Head)) })
}

// Chunked answers 200 with each of chunks as one chunk.
func Chunked(chunks ...string) Script {
	return Answer(func(req Request) string {
		var b strings.Builder
		b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
		if req.Method == http.MethodHead {
			return b.String()
		}
		for _, chunk := range chunks {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		b.WriteString("0\r\n\r\n")
		return b.String()
	})
}

// CloseBeforeResponse reads one request and closes without a byte.
func CloseBeforeResponse() Script {
	return func(c *Conn) { c.ReadRequest() }
}

// ResetBeforeResponse reads one request and resets the connection.
func ResetBeforeResponse() Script {
	return func(c *Conn) {
		if _, err := c.ReadRequest(); err == nil {
			c.Reset()
		}
	}
}

// CloseWhenReused answers the first request of a connection with 200 and
// closes on the second, as an upstream does whose idle time has run out.
func CloseWhenReused() Script {
	return func(c *Conn) {
		req, err := c.ReadRequest()
		if err != nil || c.WriteString(Response(req, http.StatusOK, "ok\n")) != nil {
			return
		}
		c.ReadHead()
	}
}

// Slow reads one request and sends each of parts when step says so, by a value
// for the next or by being closed for all the rest. Parts are raw bytes: the
// first usually holds the head.
func Slow(step <-chan struct{}, parts ...string) Script {
	return func(c *Conn) {
		if _, err := c.ReadRequest(); err != nil {
			return
		}
		for _, part := range parts {
			if c.Stall(step) != nil || c.WriteString(part) != nil {
				return
			}
		}
	}
}

// Raw reads one request and sends response as it is.
func Raw(response string) Script {
	return func(c *Conn) {
		if _, err := c.ReadRequest(); err == nil {
			c.WriteString(response)
		}
	}
}

// Response builds a complete response to req: to HEAD, and with a status that
// has none, without the content (RFC 9110, section 6.4.1).
func Response(req Request, code int, content string) string {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\n", code, http.StatusText(code))
	if code < 200 || code == http.StatusNoContent {
		return head + "\r\n"
	}
	head += fmt.Sprintf("Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(content))
	if req.Method == http.MethodHead || code == http.StatusNotModified {
		return head
	}
	return head + content
}
