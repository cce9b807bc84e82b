package probe

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a probe asks.
type Kind uint8

// The kinds of probes.
const (
	HTTP Kind = iota // an HTTP request; the status, and on request the body, decide
	TCP              // a connection, with a TLS handshake where the check has TLS
	GRPC             // Check of grpc.health.v1.Health over HTTP/2
)

// String returns the kind as the configuration spells it.
func (k Kind) String() string {
	switch k {
	case HTTP:
		return "http"
	case TCP:
		return "tcp"
	case GRPC:
		return "grpc"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Range is a range of statuses, both ends included.
type Range struct{ From, To int }

// Check says how a target is probed and what makes a verdict. Its zero value is a GET of
// "/" every 10 s. Nobody changes a Check that was handed to Set.
type Check struct {
	Kind Kind

	// Of HTTP. A redirect is an answer and isn't followed.
	Method       string         // "" is GET
	Path         string         // request target in origin form; "" is "/"
	Host         string         // "" is the target's address; of GRPC too
	Headers      [][2]string    // name and value; of GRPC too
	Expected     []Range        // empty is 200 to 299
	BodyContains string         // "" is any body
	BodyPattern  *regexp.Regexp // nil is any body
	BodyBytesMax int64          // how much of the body is read and matched; 0 is 64 KiB

	// Preface is what each connection begins with, before TLS; nil for nothing.
	Preface []byte
	// HTTP2 has an HTTP check without TLS asked over HTTP/2. With TLS its NextProtos say what
	// may be agreed on; none is HTTP/1.1.
	HTTP2 bool

	Service string // of GRPC: the service asked for; "" is the server as a whole

	Port int         // 0 is the target's own
	TLS  *tls.Config // nil is plain text; without ServerName the target's host is expected

	Interval      time.Duration // from start to start of two probes; 0 is 10 s
	IntervalDown  time.Duration // the same while the target is unhealthy; 0 is a fifth of Interval, at least 1 s, at most Interval
	Timeout       time.Duration // for the whole probe; 0 is 5 s
	JitterPercent int           // each interval is longer or shorter by up to this part of it; 0 to 100

	Healthy   int // successes in a row that make an unhealthy target healthy; 0 is 2
	Unhealthy int // failures in a row that make a healthy target unhealthy; 0 is 3
}

// Defaults of a Check, and the lowest default of IntervalDown.
const (
	intervalDefault     = 10 * time.Second
	intervalDownLeast   = time.Second
	intervalDownPart    = 5
	timeoutDefault      = 5 * time.Second
	healthyDefault      = 2
	unhealthyDefault    = 3
	bodyBytesMaxDefault = 64 << 10
)

// Target is an address of an upstream and how it is probed. Upstream, Address and Dial
// together name it: a name that resolves to three addresses may be three targets.
type Target struct {
	Upstream string
	Address  string // "host:port" as configured; the host may be a name
	Dial     string // "host:port" to connect to; "" is Address
	Check    *Check // nil: the target isn't probed
}

// Validate returns what keeps the check from ever being asked: a method, path, host, field
// or port that can't be sent.
func (c *Check) Validate() error {
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("port %d is not between 1 and 65535", c.Port)
	}
	if c.Kind > GRPC {
		return fmt.Errorf("unknown %v", c.Kind)
	}
	d := c.withDefaults()
	r, err := newRequest(&d, "localhost")
	if err != nil {
		return err
	}
	if err := r.Write(&bytes.Buffer{}); err != nil {
		return err
	}
	for _, h := range c.Headers {
		if h[0] == "" || strings.ContainsAny(h[0], " \t\r\n\x00:") || strings.ContainsAny(h[1], "\r\n\x00") {
			return fmt.Errorf("header %q can't be sent", h[0])
		}
	}
	return nil
}

// newRequest returns the request of an HTTP check.
func newRequest(c *Check, authority string) (*http.Request, error) {
	if c.Path != "*" && (c.Path[0] != '/' || strings.HasPrefix(c.Path, "//")) {
		return nil, errors.New("path doesn't begin with one slash")
	}
	if strings.ContainsFunc(c.Path, unprintable) {
		return nil, errors.New("path holds a character that isn't printable ASCII")
	}
	r, err := http.NewRequest(c.Method, "http://target", nil)
	if err != nil {
		return nil, err
	}
	r.URL.Opaque = c.Path // sent as it is written
	r.Host = authority
	if c.Host != "" {
		r.Host = c.Host
	}
	r.Header.Set("User-Agent", userAgent)
	r.Close = true
	for _, h := range c.Headers {
		if strings.EqualFold(h[0], "Host") {
			r.Host = h[1]
			continue
		}
		r.Header.Add(h[0], h[1])
	}
	if strings.ContainsFunc(r.Host, func(r rune) bool { return unprintable(r) || strings.ContainsRune(`/\@?#"<>`, r) }) {
		return nil, errors.New("host holds a character that no host has")
	}
	if ua := r.Header["User-Agent"]; len(ua) > 1 {
		r.Header["User-Agent"] = ua[1:]
	}
	return r, nil
}

func unprintable(r rune) bool { return r <= ' ' || r >= 0x7f }

// userAgent is what probes call themselves unless the check says otherwise.
const userAgent = "sentinel-probe"

// withDefaults returns the check with its zeros filled.
func (c Check) withDefaults() Check {
	c.Method = orElse(c.Method, http.MethodGet)
	c.Path = orElse(c.Path, "/")
	if len(c.Expected) == 0 {
		c.Expected = []Range{{200, 299}}
	}
	c.BodyBytesMax = orElse(c.BodyBytesMax, bodyBytesMaxDefault)
	c.Interval = orElse(max(c.Interval, 0), intervalDefault)
	c.IntervalDown = orElse(max(c.IntervalDown, 0), min(c.Interval, max(intervalDownLeast, c.Interval/intervalDownPart)))
	c.Timeout = orElse(max(c.Timeout, 0), timeoutDefault)
	c.JitterPercent = min(max(c.JitterPercent, 0), 100)
	c.Healthy = orElse(max(c.Healthy, 0), healthyDefault)
	c.Unhealthy = orElse(max(c.Unhealthy, 0), unhealthyDefault)
	return c
}

func orElse[T comparable](v, zero T) T {
	var none T
	if v == none {
		return zero
	}
	return v
}

// expects reports whether a status is one of those that the check wants.
func (c *Check) expects(status int) bool {
	return slices.ContainsFunc(c.Expected, func(r Range) bool { return r.From <= status && status <= r.To })
}

// expectedText writes the wanted statuses: "200", "200-299 or 404".
func (c *Check) expectedText() string {
	var parts []string
	for _, r := range c.Expected[:min(len(c.Expected), expectedTextMax)] {
		if r.From == r.To {
			parts = append(parts, strconv.Itoa(r.From))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", r.From, r.To))
		}
	}
	if len(c.Expected) > expectedTextMax {
		parts = append(parts, "others")
	}
	return strings.Join(parts, " or ")
}

// expectedTextMax is how many ranges a transcript lists.
const expectedTextMax = 5

// matchesBody reports whether the check looks at the body.
func (c *Check) matchesBody() bool { return c.BodyContains != "" || c.BodyPattern != nil }

// same reports whether two checks ask and decide alike, so that a reload of the same text
// changes nothing.
func (c *Check) same(d *Check) bool {
	if c == d {
		return true
	}
	return c.sameQuestion(d) && sameTLS(c.TLS, d.TLS) &&
		c.Interval == d.Interval && c.IntervalDown == d.IntervalDown && c.Timeout == d.Timeout &&
		c.JitterPercent == d.JitterPercent && c.Healthy == d.Healthy && c.Unhealthy == d.Unhealthy
}

func (c *Check) sameQuestion(d *Check) bool {
	return c.Kind == d.Kind && c.Method == d.Method && c.Path == d.Path && c.Host == d.Host &&
		slices.Equal(c.Headers, d.Headers) && slices.Equal(c.Expected, d.Expected) &&
		c.BodyContains == d.BodyContains && samePattern(c.BodyPattern, d.BodyPattern) &&
		c.BodyBytesMax == d.BodyBytesMax && c.Service == d.Service && c.Port == d.Port
}

func samePattern(a, b *regexp.Regexp) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.String() == b.String()
}

// sameTLS compares what a client's configuration may hold. Functions can't be compared: a
// configuration with one is the same only as itself.
func sameTLS(a, b *tls.Config) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || hasFuncs(a) || hasFuncs(b) {
		return false
	}
	return a.ServerName == b.ServerName && a.InsecureSkipVerify == b.InsecureSkipVerify &&
		a.MinVersion == b.MinVersion && a.MaxVersion == b.MaxVersion &&
		(a.RootCAs == nil) == (b.RootCAs == nil) && (a.RootCAs == nil || a.RootCAs.Equal(b.RootCAs)) &&
		slices.Equal(a.NextProtos, b.NextProtos) && slices.Equal(a.CipherSuites, b.CipherSuites) &&
		slices.Equal(a.CurvePreferences, b.CurvePreferences) &&
		slices.EqualFunc(a.Certificates, b.Certificates, func(x, y tls.Certificate) bool {
			return slices.EqualFunc(x.Certificate, y.Certificate, bytes.Equal)
		})
}

func hasFuncs(c *tls.Config) bool {
	return c.GetClientCertificate != nil || c.VerifyConnection != nil || c.VerifyPeerCertificate != nil
}

// addresses returns where a probe of t connects to, and the authority it asks for.
func (t *Target) addresses() (dial, authority string, err error) {
	dial, authority = orElse(t.Dial, t.Address), t.Address
	if t.Check.Port == 0 {
		return dial, authority, nil
	}
	port := strconv.Itoa(t.Check.Port)
	dialHost, _, err := net.SplitHostPort(dial)
	if err != nil {
		return "", "", err
	}
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		return "", "", err
	}
	return net.JoinHostPort(dialHost, port), net.JoinHostPort(host, port), nil
}
