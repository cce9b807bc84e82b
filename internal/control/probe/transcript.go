package probe

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Layer is a part of a probe that can fail.
type Layer string

// The layers, in the order a probe meets them.
const (
	LayerResolve Layer = "dns"
	LayerConnect Layer = "connect"
	LayerTLS     Layer = "tls"
	LayerAnswer  Layer = "answer" // up to the end of the head
	LayerBody    Layer = "body"
)

// Transcript is what happened in one probe. Cause, Layer and Expected are fixed words and
// numbers; Certificate, StatusLine and Body are the target's own text, cut to a length but
// not escaped: String leaves them out, Details escapes them. Nobody changes a Transcript.
type Transcript struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	OK      bool      `json:"ok"`
	Layer   Layer     `json:"layer,omitempty"`   // the one that failed
	Cause   string    `json:"cause,omitempty"`   // why
	Own     bool      `json:"own,omitempty"`     // failed for a reason of this process; decides nothing
	Address string    `json:"address,omitempty"` // "ip:port" connected to, or tried last

	Name      string `json:"name,omitempty"` // what was resolved; "" when the address was given
	Resolve   Took   `json:"resolve_ms,omitempty"`
	Connect   Took   `json:"connect_ms,omitempty"`
	TLS       Took   `json:"tls_ms,omitempty"`
	FirstByte Took   `json:"first_byte_ms,omitempty"` // from the request's first to the answer's first byte
	Total     Took   `json:"total_ms"`

	TLSVersion  string    `json:"tls_version,omitempty"` // such as "TLS 1.3"
	Certificate string    `json:"certificate,omitempty"` // subject, cut to 100 bytes
	Expires     time.Time `json:"certificate_expires,omitzero"`

	Status     int    `json:"status,omitempty"`
	Expected   string `json:"expected,omitempty"`    // wanted statuses, when the status wasn't one of them
	StatusLine string `json:"status_line,omitempty"` // cut to 100 bytes
	GRPC       string `json:"grpc,omitempty"`        // such as "SERVING" or "UNIMPLEMENTED"
	Body       string `json:"body,omitempty"`        // its first 200 bytes, when it was read or the status was wrong
}

// Limits of the target's own text in a Transcript, in bytes.
const (
	certificateBytesMax = 100
	statusLineBytesMax  = 100
	bodyExcerptBytesMax = 200
)

// Took is how long a layer took. In JSON it is a number of milliseconds.
type Took time.Duration

// MarshalJSON writes milliseconds with three digits after the point.
func (d Took) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Duration(d).Microseconds())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads milliseconds.
func (d *Took) UnmarshalJSON(text []byte) error {
	ms, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return err
	}
	*d = Took(ms * float64(time.Millisecond))
	return nil
}

// String returns the duration as a person reads it: "0.4ms", "12ms", "1.2s".
func (d Took) String() string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms >= 999.5:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + "s"
	case ms >= 9.95:
		return strconv.FormatFloat(ms, 'f', 0, 64) + "ms"
	}
	return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
}

// String returns the transcript in one line for logs, free of the target's own text:
//
//	dns 0.2ms, connect 10.0.0.1:8080 0.4ms, status 503 (expected 200), 12ms
func (t *Transcript) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if t.Name != "" {
		add("dns %v", t.Resolve)
	}
	if t.Address != "" {
		add("connect %s %v", t.Address, t.Connect)
	}
	if t.TLS > 0 {
		add("%s %v", orElse(t.TLSVersion, "TLS"), t.TLS)
	}
	switch {
	case t.Status != 0 && t.Expected != "":
		add("status %d (expected %s)", t.Status, t.Expected)
	case t.Status != 0 && t.Kind == HTTP.String():
		add("status %d", t.Status)
	}
	switch {
	case t.OK && t.GRPC != "":
		add("grpc %s", t.GRPC)
	case !t.OK && t.Expected == "":
		add("%s", t.Cause)
	}
	add("%v", t.Total)
	return strings.Join(parts, ", ")
}

// Details returns the transcript in several lines for a terminal, each ended by a newline.
// The target's own text stands in quotes, escaped.
func (t *Transcript) Details() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", name, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	line("probe", "%s, %s", t.Kind, t.At.UTC().Format("2006-01-02T15:04:05.000Z"))
	if t.Name != "" {
		line("dns", "%-7v %s", t.Resolve, strconv.QuoteToASCII(t.Name))
	}
	if t.Address != "" {
		line("connect", "%-7v %s", t.Connect, t.Address)
	}
	if t.TLS > 0 {
		line("tls", "%-7v %s", t.TLS, t.tlsText())
	}
	if t.FirstByte > 0 {
		line("answer", "%-7v %s", t.FirstByte, t.answerText())
	}
	if t.Body != "" {
		line("body", "%s", strconv.QuoteToASCII(t.Body))
	}
	if t.OK {
		line("result", "ok")
	} else {
		line("result", "failed at %s: %s", t.Layer, t.Cause)
	}
	line("total", "%v", t.Total)
	return b.String()
}

func (t *Transcript) tlsText() string {
	s := t.TLSVersion
	if t.Certificate != "" {
		s += " certificate " + strconv.QuoteToASCII(t.Certificate)
	}
	if !t.Expires.IsZero() {
		s += " until " + t.Expires.UTC().Format(time.DateOnly)
	}
	return strings.TrimSpace(s)
}

func (t *Transcript) answerText() string {
	var s []string
	if t.StatusLine != "" {
		s = append(s, strconv.QuoteToASCII(t.StatusLine))
	}
	if t.Expected != "" {
		s = append(s, "(expected "+t.Expected+")")
	}
	if t.GRPC != "" {
		s = append(s, "grpc "+t.GRPC)
	}
	return strings.Join(s, " ")
}

// cut returns the first bytesMax bytes of s.
func cut(s string, bytesMax int) string { return s[:min(len(s), bytesMax)] }
