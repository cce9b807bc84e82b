package origin

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// Act deals with one request that was read with its content, and reports whether the
// connection goes on to the next.
type Act func(c *Conn, req Request) bool

// Acts makes a script that reads requests and deals with each as choose says when it is
// there: open connections change their ways, too, when choose does.
func Acts(choose func(req Request) Act) Script {
	return func(c *Conn) {
		for {
			req, err := c.ReadRequest()
			if err != nil || !choose(req)(c, req) {
				return
			}
			if strings.EqualFold(req.Fields.Get("Connection"), "close") {
				return
			}
		}
	}
}

// Switch is an Act that can be changed at any time. The zero Switch answers 200.
type Switch struct{ act atomic.Pointer[Act] }

// Set has all requests from now on dealt with by a.
func (s *Switch) Set(a Act) { s.act.Store(&a) }

// Choose is for Acts.
func (s *Switch) Choose(Request) Act {
	if a := s.act.Load(); a != nil {
		return *a
	}
	return Reply(http.StatusOK, "ok\n")
}

// Reply answers with a status code and content.
func Reply(code int, content string) Act {
	return func(c *Conn, req Request) bool { return c.WriteString(Response(req, code, content)) == nil }
}

// Reset resets the connection before a byte of the response.
func Reset(c *Conn, _ Request) bool {
	c.Reset()
	return false
}

// Hang never answers. It ends when the peer closes the connection or the origin is closed.
func Hang(c *Conn, _ Request) bool {
	c.ReadUntilClose()
	return false
}

// Garbage sends bytes that are no HTTP.
func Garbage(c *Conn, _ Request) bool {
	c.WriteString("220 mail.example ESMTP\r\n")
	return false
}

// Die promises size bytes of content, sends part of them and resets the connection.
func Die(size, part int) Act {
	return func(c *Conn, _ Request) bool {
		c.WriteString(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", part)))
		c.Reset()
		return false
	}
}

// Held answers as a does, once release is closed or has given a value. It tells entered, if
// that isn't nil, of each request that has come; there must be room.
func Held(entered chan<- Request, release <-chan struct{}, a Act) Act {
	return func(c *Conn, req Request) bool {
		if entered != nil {
			entered <- req
		}
		return c.Stall(release) == nil && a(c, req)
	}
}

// Rate deals with bad of each run of all requests by the act failing, with the others by
// the act well.
func Rate(bad, all int, failing, well Act) Act {
	var n atomic.Int64
	return func(c *Conn, req Request) bool {
		if int(n.Add(1)-1)%all < bad {
			return failing(c, req)
		}
		return well(c, req)
	}
}

// Trickle answers with n bytes of content, each sent only after step has given a value or
// was closed; the head is sent at once.
func Trickle(n int, step <-chan struct{}) Act {
	return func(c *Conn, _ Request) bool {
		if c.WriteString(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n)) != nil {
			return false
		}
		for range n {
			if c.Stall(step) != nil || c.WriteString("x") != nil {
				return false
			}
		}
		return true
	}
}
