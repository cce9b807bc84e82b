package exchange

import (
	"bytes"
	"strconv"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
)

var grpcType = []byte("application/grpc")

// isGRPC reports whether the request is a gRPC call: its content is application/grpc, alone or
// with the name of a format behind a plus sign.
func isGRPC(h *message.Head) bool {
	i := h.Find(message.FieldContentType)
	if i < 0 {
		return false
	}
	rest, ok := bytes.CutPrefix(h.FieldValue(i), grpcType)
	return ok && (len(rest) == 0 || rest[0] == '+' || rest[0] == ';')
}

// passesTrailers reports whether trailer fields go on, both ways: gRPC tells the status of a
// call in them.
func (x *exchange) passesTrailers() bool { return x.route.Trailers || x.grpc }

// failCall answers a call that can't be served in the way of gRPC: status 200, no content,
// and the status of the call. Log and metrics tell the status that the fault has.
func (x *exchange) failCall(k fault.Kind) error {
	h := x.localHead(200)
	h.Add("Content-Type", grpcType)
	h.Extra = append(h.Extra, "grpc-status: "...)
	h.Extra = strconv.AppendUint(h.Extra, uint64(k.GRPC()), 10)
	h.Extra = append(h.Extra, "\r\ngrpc-message: "...)
	h.Extra = append(h.Extra, k.Error()...) // has nothing that grpc-message would encode
	h.Extra = append(h.Extra, " (code "...)
	h.Extra = append(h.Extra, k.Row().Code...)
	h.Extra = append(h.Extra, ")\r\n"...)
	h.Add(x.s.Identity.RequestIDField, x.id)
	if k.Row().Closes {
		x.req.LastOnConnection = true
	}
	err := x.send(h, nil)
	x.status = k.Status()
	return err
}

// grpcStatus tells what became of a call: in trailers or, where there is nothing else to the
// answer, in the head.
const grpcStatus = "grpc-status"

// repeatsCalls reports whether the request is a call that may be repeated by its status.
func (x *exchange) repeatsCalls() bool { return x.grpc && x.route.Retry.Calls != 0 }

// callFailed reports whether the response in hand is the end of a call, and of a kind that may
// be repeated.
func (x *exchange) callFailed() bool {
	if !x.repeatsCalls() {
		return false
	}
	h := x.conn.Head
	i := h.FindName(grpcStatus)
	return i >= 0 && x.route.Retry.Calls.Has(h.FieldValue(i))
}

// keepContent keeps a piece of content for another try of a call. It reports whether all of it
// has been kept so far.
func (x *exchange) keepContent(b []byte) bool {
	if int64(len(x.buffer.content)+len(b)) > x.route.Retry.BodyBytesMax {
		return false
	}
	x.buffer.content = append(x.buffer.content, b...)
	return true
}

// grpcTimeout is the field in which a client says how long a call may take.
const grpcTimeout = "grpc-timeout"

// limitCall lets a call take no longer than its client wants to wait.
func (x *exchange) limitCall() {
	if !x.grpc {
		return
	}
	i := x.req.Head.FindName(grpcTimeout)
	if i < 0 {
		return
	}
	wait, ok := parseGRPCTimeout(x.req.Head.FieldValue(i))
	if at := x.req.Received + wait; ok && (at < x.deadline || !x.covers) {
		x.deadline, x.covers = at, true
		x.req.ContentBy = at
	}
}

const (
	// grpcTimeoutDigits bounds the number in a timeout.
	grpcTimeoutDigits = 8
	// grpcTimeoutMax is what longer timeouts count as.
	grpcTimeoutMax = 1000 * time.Hour
)

// parseGRPCTimeout reads a timeout: one to eight digits and a unit.
func parseGRPCTimeout(b []byte) (d time.Duration, ok bool) {
	if len(b) < 2 || len(b) > grpcTimeoutDigits+1 {
		return 0, false
	}
	n := time.Duration(0)
	for _, c := range b[:len(b)-1] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + time.Duration(c-'0')
	}
	unit := time.Duration(0)
	switch b[len(b)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	if n > grpcTimeoutMax/unit {
		return grpcTimeoutMax, true
	}
	return n * unit, true
}
