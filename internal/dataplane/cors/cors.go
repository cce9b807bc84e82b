// Package cors decides which other origins' scripts may read responses, by the CORS protocol
// of the Fetch standard (section 3.3).
package cors

import (
	"bytes"
	"strconv"
	"strings"

	"sentinel/internal/dataplane/message"
)

// Options are what a Policy is made of. Names of origins are those of RFC 6454 section 6.2.
type Options struct {
	// Origins are exact ones, "*", "null", or "https://*.example.com" for all names below it.
	Origins []string
	// Methods are allowed beside GET, HEAD and POST; Headers may be set by scripts. "*" is all.
	Methods, Headers []string
	Expose           []string // response fields that scripts may read
	Credentials      bool
	MaxAge           int // seconds
}

// Policy is what holds for a route. It doesn't change.
type Policy struct {
	any, anyMethod, anyHeader bool
	credentials               bool
	exact                     []string
	below                     []wildcard
	methods                   []string
	headers                   []string // in lower case
	preflight                 []byte   // field lines of an answer to an allowed preflight
	actual                    []byte   // of a response to an allowed origin
}

// wildcard is "https://" and ".example.com:8443".
type wildcard struct{ scheme, suffix string }

// safelisted are the methods that browsers send without asking.
var safelisted = [...]string{"GET", "HEAD", "POST"}

// New returns a policy.
func New(o Options) *Policy {
	p := &Policy{credentials: o.Credentials, methods: append([]string(nil), safelisted[:]...)}
	for _, origin := range o.Origins {
		scheme, host, _ := strings.Cut(strings.ToLower(origin), "://")
		switch {
		case origin == "*":
			p.any = true
		case strings.HasPrefix(host, "*."):
			p.below = append(p.below, wildcard{scheme + "://", host[1:]})
		default:
			p.exact = append(p.exact, strings.ToLower(origin))
		}
	}
	for _, m := range o.Methods {
		p.anyMethod = p.anyMethod || m == "*"
		p.methods = append(p.methods, m)
	}
	for _, h := range o.Headers {
		p.anyHeader = p.anyHeader || h == "*"
		p.headers = append(p.headers, strings.ToLower(h))
	}
	if p.anyMethod {
		p.methods = []string{"*"}
	}
	p.preflight = appendList(nil, "Access-Control-Allow-Methods", p.methods)
	p.preflight = appendList(p.preflight, "Access-Control-Allow-Headers", o.Headers)
	p.preflight = append(p.preflight, "Access-Control-Max-Age: "...)
	p.preflight = append(strconv.AppendInt(p.preflight, int64(o.MaxAge), 10), "\r\n"...)
	p.actual = appendList(nil, "Access-Control-Expose-Headers", o.Expose)
	return p
}

func appendList(dst []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(append(dst, name...), ": "...)
	dst = append(dst, strings.Join(list, ", ")...)
	return append(dst, '\r', '\n')
}

// Varies reports whether responses depend on the Origin field of the request.
func (p *Policy) Varies() bool { return !p.any }

// Allows reports whether scripts of an origin, the value of an Origin field, may read.
func (p *Policy) Allows(origin []byte) bool {
	if p.any {
		return len(origin) > 0
	}
	for _, o := range p.exact {
		if message.EqualFold(origin, o) {
			return true
		}
	}
	for i := range p.below {
		if p.below[i].takes(origin) {
			return true
		}
	}
	return false
}

// takes reports whether an origin is a name below the suffix: at least one label stands
// between scheme and suffix, and nothing that isn't part of a name.
func (w *wildcard) takes(origin []byte) bool {
	n := len(origin) - len(w.suffix)
	if n <= len(w.scheme) || !message.EqualFold(origin[:len(w.scheme)], w.scheme) || !message.EqualFold(origin[n:], w.suffix) {
		return false
	}
	labels := origin[len(w.scheme):n]
	for i, c := range labels {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !letter && (c != '.' || i == 0 || labels[i-1] == '.') {
			return false
		}
	}
	return labels[len(labels)-1] != '.'
}

// AllowsRequest reports whether a preflight may be answered with yes: method and fields are
// the values of Access-Control-Request-Method and -Headers.
func (p *Policy) AllowsRequest(method, fields []byte) bool {
	return p.allowsMethod(method) && p.allowsFields(fields)
}

func (p *Policy) allowsMethod(method []byte) bool {
	for _, m := range p.methods {
		if m == "*" || string(method) == m {
			return true
		}
	}
	return false
}

func (p *Policy) allowsFields(list []byte) bool {
	for len(list) > 0 {
		var name []byte
		name, list = message.NextToken(list)
		if len(name) > 0 && !p.allowsField(name) {
			return false
		}
	}
	return true
}

func (p *Policy) allowsField(name []byte) bool {
	for _, h := range p.headers {
		if message.EqualFold(name, h) {
			return true
		}
	}
	return p.anyHeader && !message.EqualFold(name, "authorization")
}

// AppendPreflight appends the field lines that answer an allowed preflight.
func (p *Policy) AppendPreflight(dst, origin []byte) []byte {
	return append(p.appendOrigin(dst, origin), p.preflight...)
}

// AppendActual appends the field lines of a response to a request of an allowed origin.
func (p *Policy) AppendActual(dst, origin []byte) []byte {
	return append(p.appendOrigin(dst, origin), p.actual...)
}

func (p *Policy) appendOrigin(dst, origin []byte) []byte {
	dst = append(dst, "Access-Control-Allow-Origin: "...)
	if p.any && !p.credentials {
		dst = append(dst, '*')
	} else {
		dst = append(dst, origin...)
	}
	dst = append(dst, '\r', '\n')
	if p.credentials {
		dst = append(dst, "Access-Control-Allow-Credentials: true\r\n"...)
	}
	return dst
}

// Owns reports whether a response field is one of the protocol, which the proxy writes alone.
func Owns(name []byte) bool {
	const prefix = "access-control-"
	return len(name) > len(prefix) && message.EqualFold(name[:len(prefix)], prefix)
}

// ListsOrigin reports whether a Vary field names Origin, or everything.
func ListsOrigin(vary []byte) bool {
	for len(vary) > 0 {
		var name []byte
		name, vary = message.NextToken(vary)
		if message.EqualFold(name, "origin") || bytes.Equal(name, []byte("*")) {
			return true
		}
	}
	return false
}
