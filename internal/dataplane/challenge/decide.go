package challenge

import (
	"bytes"
	"net/netip"
)

// Mode says who is challenged.
type Mode uint8

// The modes. Enabled challenges clients over the threshold, Always everybody.
const (
	Disabled Mode = iota
	Enabled
	Always
)

// Policy is what holds for one route. Zero fields stand for their default.
type Policy struct {
	Mode      Mode
	Shadow    bool // who would be challenged is counted and goes on
	Threshold int  // requests a minute and client
	Base      int  // difficulty without evidence; DifficultyDefault
	Max       int  // difficulty whatever the evidence; DifficultyMax
	Wait      int  // seconds of the signed wait without evidence; 5
}

// Facts are what is known of a request. The slices are only read.
type Facts struct {
	Method      []byte
	Host        []byte // Host or :authority; the port doesn't count
	Path        []byte // canonical
	Target      []byte // path and query as asked for, to go back to
	Accept      []byte
	FetchMode   []byte   // Sec-Fetch-Mode; empty when there is none
	ContentType []byte   // empty when there is none
	Cookies     [][]byte // the values of all Cookie fields
	RequestID   []byte   // shown to people
	Client      netip.Addr
	Rate        int  // requests of the client in the last minute
	Credentials bool // there is an Authorization field
	Upgrade     bool // it asks for an upgrade that would be granted, or is an extended CONNECT
	Allowed     bool // the client is on an allow list
	Secure      bool // the client speaks TLS
}

// Action is what to do with a request.
type Action uint8

// The actions.
const (
	Pass   Action = iota // let it go on
	Page                 // Respond with the page
	Refuse               // Respond with problem details
	Reply                // Answer: the path is the reserved one
)

// Decision is what Decide says.
type Decision struct {
	Action     Action
	Bypass     Bypass // why it passes over the threshold
	Difficulty int    // zero bits, with Page
	Wait       int    // seconds, with Page
}

// ReservedPath is where answers go. It is the proxy's own on every host and in every mode, so
// that whoever is at work when the mode changes is still led on.
const ReservedPath = "/.sentinel/challenge"

// refuseSeconds is the Retry-After of a refusal: the time over which rates are counted.
const refuseSeconds = 60

// Decide says what to do with a request at now, and counts it. It doesn't allocate.
func (c *Challenger) Decide(p *Policy, f *Facts, now int64) Decision {
	d, o := c.Look(p, f, now)
	switch n := &c.state.Counters; o {
	case Bypassed:
		n.Bypassed[d.Bypass].Add(1)
	case Proved:
		n.Passed.Add(1)
	case Shadowed:
		n.Shadowed.Add(1)
	case Refused:
		n.Refused.Add(1)
	case Issued:
		n.Issued.Add(1)
	}
	return d
}

// Outcome is why a Decision is as it is.
type Outcome uint8

// The outcomes.
const (
	Below    Outcome = iota // nobody is challenged, or the client isn't over the threshold
	Bypassed                // a request of its kind isn't challenged
	Proved                  // the client has passed a challenge
	Shadowed                // it would be challenged
	Refused                 // it can't be challenged, so it is refused
	Issued                  // it is challenged
)

// Look is Decide without counting.
func (c *Challenger) Look(p *Policy, f *Facts, now int64) (Decision, Outcome) {
	if string(f.Path) == ReservedPath {
		return Decision{Action: Reply}, Below
	}
	if p.Mode == Disabled || p.Mode == Enabled && f.Rate <= p.Threshold {
		return Decision{}, Below
	}
	if b := bypass(f); b != NotBypassed {
		return Decision{Bypass: b}, Bypassed
	}
	if c.Passed(f, now) {
		return Decision{}, Proved
	}
	if p.Shadow {
		return Decision{}, Shadowed
	}
	if !navigates(f) {
		return Decision{Action: Refuse}, Refused
	}
	base := or(p.Base, DifficultyDefault)
	d := Decision{Action: Page}
	d.Difficulty = Difficulty(base, or(p.Max, DifficultyMax), f.Rate, p.Threshold)
	// The wait grows with the work: whoever runs no script gets no cheaper way.
	d.Wait = min(or(p.Wait, 5)+3*max(0, d.Difficulty-base), WaitMax)
	return d, Issued
}

func or(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

func bypass(f *Facts) Bypass {
	get := string(f.Method) == "GET" || string(f.Method) == "HEAD"
	switch {
	case f.Allowed:
		return BypassAllowed
	case string(f.Method) == "OPTIONS":
		return BypassMethod
	case get && bytes.HasPrefix(f.Path, []byte("/.well-known/acme-challenge/")):
		return BypassACME
	case get && string(f.Path) == "/robots.txt":
		return BypassRobots
	case get && (string(f.Path) == "/health" || string(f.Path) == "/ready"):
		return BypassHealth
	case isGRPC(f.ContentType):
		return BypassGRPC
	case f.Upgrade:
		return BypassUpgrade
	case f.Credentials && string(f.FetchMode) != "navigate" && !acceptsHTML(f.Accept):
		return BypassAPI
	}
	return NotBypassed
}

// navigates reports whether a browser asks for a document that people will see (Fetch Metadata
// section 2.2; browsers before it say text/html).
func navigates(f *Facts) bool {
	if string(f.Method) != "GET" {
		return false
	}
	if len(f.FetchMode) > 0 {
		return string(f.FetchMode) == "navigate"
	}
	return acceptsHTML(f.Accept)
}

// isGRPC reports whether a content type is one of gRPC's: application/grpc, with a suffix such
// as +proto, or gRPC-Web's.
func isGRPC(contentType []byte) bool {
	media, _ := cut(contentType, ';')
	media = trim(media)
	const prefix = "application/grpc"
	if len(media) < len(prefix) || !equalFold(media[:len(prefix)], prefix) {
		return false
	}
	rest := media[len(prefix):]
	return len(rest) == 0 || rest[0] == '+' || rest[0] == '-'
}

// acceptsHTML reports whether an Accept field names HTML with a weight above 0 (RFC 9110
// section 12.5.1). Wildcards don't count: tools send them.
func acceptsHTML(accept []byte) bool {
	for len(accept) > 0 {
		var part []byte
		part, accept = cut(accept, ',')
		media, params := cut(part, ';')
		media = trim(media)
		if (equalFold(media, "text/html") || equalFold(media, "application/xhtml+xml")) && !zeroWeight(params) {
			return true
		}
	}
	return false
}

// zeroWeight reports whether parameters hold a q of 0.
func zeroWeight(params []byte) bool {
	for len(params) > 0 {
		var p []byte
		p, params = cut(params, ';')
		if p = trim(p); len(p) < 3 || p[0]|0x20 != 'q' || p[1] != '=' {
			continue
		}
		zero := true
		for _, c := range p[2:] {
			zero = zero && (c == '0' || c == '.')
		}
		return zero
	}
	return false
}

func cut(s []byte, sep byte) (before, after []byte) {
	if i := bytes.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, nil
}

// trim cuts optional whitespace (RFC 9110 section 5.6.3).
func trim(s []byte) []byte { return bytes.Trim(s, " \t") }

func equalFold(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
