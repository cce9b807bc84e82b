package accesslog

import (
	"log/slog"
	"net/netip"
	"time"

	"sentinel/internal/dataplane/fault"
)

// Entry is what one exchange says about itself. Byte slices may point into the
// buffers of the connection; they are read before Record returns. Empty
// strings and slices, invalid addresses and zero durations and counts of tries are left out of the line.
type Entry struct {
	// Time is when the first byte of the request was read.
	Time time.Time
	// Client is the address of the client, behind trusted proxies if there are any.
	Client netip.Addr
	// Method, Host, Path, Query, UserAgent and Referer are the client's text.
	Method, Host, Path, Query, UserAgent, Referer []byte
	// RequestID is the id sent upstream and shown to the client.
	RequestID []byte
	// Protocol is HTTP/1.1 or the like.
	Protocol string
	// Listener, Route, Upstream and Target are names and addresses from the configuration.
	Listener, Route, Upstream, Target string
	// Limit is the rate limit that found the request too many; empty for none.
	Limit string
	// Country is where the client is, by two letters, and ASN the number of its autonomous
	// system; 0 is unknown.
	Country string
	ASN     uint32
	// User is who the client has proved to be, the client's text; empty for nobody.
	User []byte
	// Shadowed is the policy that would have refused the request if it weren't in shadow mode.
	Shadowed string
	// Stream marks a stream of bytes, which has no requests.
	Stream bool
	// Status is the status code sent, 0 when none was.
	Status int
	// Fault is what went wrong, None when nothing did.
	Fault fault.Kind
	// BytesIn and BytesOut count content bytes received from and sent to the client.
	BytesIn, BytesOut int64
	// Total is the time from the first byte read to the last byte written,
	// Connect the time to get an upstream connection, FirstByte the time from
	// the request sent upstream to the first byte of its response.
	Total, Connect, FirstByte time.Duration
	// Tries counts the attempts at upstreams.
	Tries int
}

// verdict says how an entry is reported.
type verdict struct {
	level   slog.Level
	message string
	reason  string // key of the fault's text, empty for none
	text    string
}

// answered5xx stands for the fault's text when the upstream itself answered
// with a server status.
const answered5xx = "upstream answered with a server failure"

// statusClientGone marks exchanges that the client left; they are nobody's failure.
const statusClientGone = 499

// judge sorts exchanges: failed ones have a 5xx status or a fault of the
// upstream's or our own side; what the proxy answers as it should is served, whatever the
// status; refused ones have a fault of the client's side. Only failed ones say error.
func (e *Entry) judge() verdict {
	row := e.Fault.Row()
	if e.Stream {
		return e.judgeStream(row)
	}
	switch {
	case e.Fault == fault.None && (e.Status < 500 || e.Upstream == ""): // /ready that says no is an answer, too
		return verdict{slog.LevelInfo, "request served", "", ""}
	case e.Fault == fault.None:
		return verdict{slog.LevelError, "request failed", "error", answered5xx}
	case e.Fault == fault.ClientCertificate:
		return verdict{slog.LevelWarn, "handshake refused", "reason", row.Text}
	case e.Fault == fault.TLSHandshake, e.Fault == fault.TLSTimeout:
		return verdict{slog.LevelInfo, "handshake failed", "reason", row.Text}
	case row.Side != fault.SideClient:
		return verdict{slog.LevelError, "request failed", "error", row.Text}
	case row.Status == statusClientGone:
		return verdict{slog.LevelInfo, "request abandoned", "reason", row.Text}
	}
	return verdict{slog.LevelWarn, "request refused", "reason", row.Text}
}

// judgeStream is judge for a stream.
func (e *Entry) judgeStream(row *fault.Row) verdict {
	switch {
	case e.Fault == fault.None:
		return verdict{slog.LevelInfo, "stream ended", "", ""}
	case row.Side != fault.SideClient:
		return verdict{slog.LevelError, "stream failed", "error", row.Text}
	case row.Status == statusClientGone:
		return verdict{slog.LevelInfo, "stream abandoned", "reason", row.Text}
	}
	return verdict{slog.LevelWarn, "stream refused", "reason", row.Text}
}
