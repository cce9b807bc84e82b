package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Bounds on what a target may send before its body.
const (
	headBytesMax = 64 << 10
	interimMax   = 5 // 1xx answers
)

// excerptWait is how long a probe that has failed waits for the body that says why.
const excerptWait = 100 * time.Millisecond

// limited reads from a connection until a budget, which its owner may refill, is spent.
type limited struct {
	r    io.Reader
	left int64
	err  error // of the last read; parsers hide it behind what they make of a line cut short
}

// cannotBuild is the cause of a check that Validate would have refused.
const cannotBuild = "request of the check can't be built"

var errTooLong = errors.New("answer too long")

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		l.err = errTooLong
		return 0, l.err
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	l.err = err
	return n, err
}

// askHTTP sends the request and judges the answer. The body is read only when it is to be
// matched, or for a moment to show why the status was wrong.
func (a *asker) askHTTP(ctx context.Context, conn net.Conn) *failure {
	notSent := &failure{layer: LayerAnswer, cause: cannotBuild}
	req, err := newRequest(a.check, a.authority)
	if err != nil {
		return notSent
	}
	var head bytes.Buffer
	if req.Write(&head) != nil {
		return notSent
	}
	start := time.Now()
	if _, err := conn.Write(head.Bytes()); err != nil && ctx.Err() != nil {
		return failed(LayerAnswer, stoppedOr(ctx, err))
	} // else the target may have answered before it closed
	in := &limited{r: conn, left: headBytesMax}
	br := bufio.NewReader(in)
	if _, err := br.Peek(1); err != nil {
		return failed(LayerAnswer, stoppedOr(ctx, err))
	}
	a.t.FirstByte = a.since(start)
	resp, f := readHead(ctx, br, in, req)
	if f != nil {
		return f
	}
	in.left = a.check.BodyBytesMax + headBytesMax // chunk framing counts too
	return a.judge(ctx, conn, resp)
}

// judge looks at the status and, where that is asked for, at the body.
func (a *asker) judge(ctx context.Context, conn net.Conn, resp *http.Response) *failure {
	a.t.Status, a.t.StatusLine = resp.StatusCode, statusLine(resp)
	if !a.check.expects(resp.StatusCode) {
		a.t.Expected = a.check.expectedText()
		a.t.Total = a.since(a.t.At)
		if ctx.Err() == nil {
			conn.SetReadDeadline(time.Now().Add(excerptWait))
			a.t.Body = excerpt(resp.Body)
		}
		return &failure{layer: LayerAnswer, cause: fmt.Sprintf("answered %d, expected %s", resp.StatusCode, a.t.Expected)}
	}
	if !a.check.matchesBody() {
		return nil
	}
	return a.matchBody(ctx, resp.Body)
}

// readHead reads heads until one that isn't interim.
func readHead(ctx context.Context, br *bufio.Reader, in *limited, req *http.Request) (*http.Response, *failure) {
	for range interimMax + 1 {
		resp, err := http.ReadResponse(br, req)
		switch {
		case err != nil && in.err != nil:
			return nil, headFailed(stoppedOr(ctx, in.err))
		case err != nil:
			return nil, &failure{layer: LayerAnswer, cause: "answer is not HTTP"}
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, nil
		}
	}
	return nil, &failure{layer: LayerAnswer, cause: "too many interim answers"}
}

// headFailed names an error of the connection that came after the first byte.
func headFailed(err error) *failure {
	switch {
	case errors.Is(err, errTooLong):
		return &failure{layer: LayerAnswer, cause: "head of the answer is too long"}
	case errors.Is(err, io.EOF):
		return &failure{layer: LayerAnswer, cause: "closed in the head of the answer"}
	}
	return failed(LayerAnswer, err)
}

// excerpt reads the first bytes of a body, as far as they come.
func excerpt(body io.Reader) string {
	b := make([]byte, bodyExcerptBytesMax)
	n, _ := io.ReadFull(body, b)
	return string(b[:n])
}

// matchBody reads the body up to the check's limit and matches it.
func (a *asker) matchBody(ctx context.Context, body io.Reader) *failure {
	b, err := io.ReadAll(io.LimitReader(body, a.check.BodyBytesMax))
	a.t.Body = string(b[:min(len(b), bodyExcerptBytesMax)])
	if err != nil && !errors.Is(err, errTooLong) {
		return failed(LayerBody, stoppedOr(ctx, err))
	}
	c := a.check
	if !strings.Contains(string(b), c.BodyContains) || c.BodyPattern != nil && !c.BodyPattern.Match(b) {
		return &failure{layer: LayerBody, cause: "body did not match"}
	}
	return nil
}
