package h1

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// answering is a handler that answers 200; last says what it makes of the connection.
type answering struct{ last bool }

func (a answering) ServeExchange(r *message.Request, w message.Responder) error {
	r.LastOnConnection = r.LastOnConnection || a.last
	h := &message.Head{Status: 200, ContentLength: -1}
	return w.Respond(h, []byte("ok"), true)
}

func (a answering) Refuse(*message.Request, message.Responder, error) {}

// quietLife follows no connection.
type quietLife struct{}

func (quietLife) Busy()              {}
func (quietLife) Idle(time.Duration) {}
func (quietLife) MustClose() bool    { return false }

// converse sends requests over one connection to a server with handler and returns all that
// it answers.
func converse(t *testing.T, handler message.Handler, requests string) string {
	t.Helper()
	clock := netio.NewClock()
	defer clock.Stop()
	ours, theirs := net.Pipe()
	set := &Settings{HeadBytesMax: 8 << 10, FieldsMax: 100, TargetBytesMax: 8 << 10, HeadTimeout: time.Minute, IdleTimeout: time.Minute, ContentTimeout: time.Minute}
	srv := &Server{Handler: handler, Settings: func(*message.Client) *Settings { return set }}
	go func() {
		srv.Serve(netio.NewConn(clock, theirs), quietLife{}, &message.Client{})
		theirs.Close()
	}()
	go io.WriteString(ours, requests)
	ours.SetReadDeadline(time.Now().Add(time.Minute))
	answers, err := io.ReadAll(ours)
	if err != nil {
		t.Fatalf("the connection did not end: %v after %q", err, answers)
	}
	return string(answers)
}

// A handler may decide that the answer is the connection's last one.
func TestHandlerEndsConnection(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	const last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, test := range []struct {
		handler answering
		sent    string
		answers int
	}{
		{answering{}, get + get + last, 3},
		{answering{last: true}, get + get + last, 1},
	} {
		var got string
		synctest.Test(t, func(t *testing.T) { got = converse(t, test.handler, test.sent) })
		if n := strings.Count(got, "HTTP/1.1 200"); n != test.answers {
			t.Errorf("with last = %v: %d answers, want %d: %q", test.handler.last, n, test.answers, got)
		}
		if n := strings.Count(got, "Connection: close"); n != 1 {
			t.Errorf("with last = %v: Connection: close stands %d times, want once: %q", test.handler.last, n, got)
		}
	}
}
