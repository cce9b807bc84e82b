package route

import (
	"regexp"

	"sentinel/internal/dataplane/message"
)

// Input is what rules look at in a request.
type Input struct {
	Host   []byte // as received, with its port if any
	Path   []byte // canonical, see Canonicalise
	Method []byte
	Query  []byte        // as received, without its question mark
	Head   *message.Head // for field conditions; nil has no fields
}

// Rule leads the requests that it matches to Value. It matches when each of its
// lists that is not empty does: any of Hosts, any of the paths (Exact, Prefixes and
// Regexps together), any of Methods, all of Fields and all of Params. A rule without
// conditions matches every request.
type Rule[T any] struct {
	Value    T
	Priority int // the higher comes first
	// Hosts are names, "*.example.com" for every name with one or more labels before
	// example.com, or "*" for any. Letter case and a final dot don't matter; the port
	// of a request is never looked at. IPv6 addresses stand in brackets.
	Hosts []string
	Exact []string // whole paths; Build brings them and Prefixes to canonical form
	// Prefixes are whole leading segments: "/api" and "/api/" both match /api, /api/ and
	// /api/x, and neither matches /apix.
	Prefixes []string
	Regexps  []*regexp.Regexp // match anywhere in the path unless anchored
	Methods  []string         // case-sensitive (RFC 9110 section 9.1)
	Fields   []FieldMatch
	Params   []ParamMatch
}

// FieldMatch is a condition on the header fields of a request. It holds when one kept
// line of that name has a value that matches Regexp, or without that when Present is
// true has any value, or else has exactly Value.
type FieldMatch struct {
	Name    string // in any letter case
	Value   string
	Regexp  *regexp.Regexp
	Present bool
}

// ParamMatch is a condition on the parameters in the query, name=value pairs separated
// by ampersands. Both are compared after decoding escapes and plus signs; a malformed
// escape stands for itself. It holds when one parameter of that name has exactly
// Value, or any value if Present is true.
type ParamMatch struct {
	Name    string
	Value   string
	Present bool
}

// conditions is what a rule asks for beside host and path.
type conditions struct {
	methods []string
	fields  []FieldMatch // names in lower case
	params  []ParamMatch
}

// count returns the number of conditions, which makes a rule more specific.
func (c *conditions) count() int {
	n := len(c.fields) + len(c.params)
	if len(c.methods) > 0 {
		n++
	}
	return n
}

func (c *conditions) hold(in *Input) bool {
	if len(c.methods) > 0 && !contains(c.methods, in.Method) {
		return false
	}
	for i := range c.fields {
		if !c.fields[i].holds(in.Head) {
			return false
		}
	}
	for i := range c.params {
		if !c.params[i].holds(in.Query) {
			return false
		}
	}
	return true
}

func contains(list []string, b []byte) bool {
	for _, s := range list {
		if string(b) == s {
			return true
		}
	}
	return false
}

// holds wants f.Name in lower case.
func (f *FieldMatch) holds(h *message.Head) bool {
	if h == nil {
		return false
	}
	for i := range h.Fields {
		if h.Fields[i].Dropped || !message.EqualFold(h.FieldName(i), f.Name) {
			continue
		}
		switch value := h.FieldValue(i); {
		case f.Regexp != nil:
			if f.Regexp.Match(value) {
				return true
			}
		case f.Present || string(value) == f.Value:
			return true
		}
	}
	return false
}

func (p *ParamMatch) holds(query []byte) bool {
	for len(query) > 0 {
		pair, rest := cut(query, '&')
		query = rest
		if len(pair) == 0 {
			continue
		}
		name, value := cut(pair, '=')
		if decodesTo(name, p.Name) && (p.Present || decodesTo(value, p.Value)) {
			return true
		}
	}
	return false
}

func cut(b []byte, sep byte) (before, after []byte) {
	for i, c := range b {
		if c == sep {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// decodesTo reports whether raw, a name or value in a query, stands for want.
func decodesTo(raw []byte, want string) bool {
	n := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(raw) && hexValue[raw[i+1]] >= 0 && hexValue[raw[i+2]] >= 0:
			c = byte(hexValue[raw[i+1]]<<4 | hexValue[raw[i+2]])
			i += 2
		}
		if n == len(want) || want[n] != c {
			return false
		}
		n++
	}
	return n == len(want)
}
