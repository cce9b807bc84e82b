package filter

import (
	"bytes"
	"strings"

	"sentinel/internal/dataplane/message"
)

// Precedence says what becomes of a field that the upstream sends, too.
type Precedence uint8

// The precedences.
const (
	Yields   Precedence = iota // the upstream's stays
	Replaces                   // ours stands in its place
	Adds                       // both are sent
)

// SecurityField is one field that tells browsers to be careful.
type SecurityField struct {
	Name, Value string
	Precedence  Precedence
	TLSOnly     bool // means something only to clients that came by TLS
}

// Security is a set of such fields for all responses, and what is taken away of them.
type Security struct {
	fields  []securityLine
	removes []string // in lower case
}

type securityLine struct {
	lower      string
	line       string // with its end
	precedence Precedence
	tlsOnly    bool
}

// NewSecurity compiles fields and the names of fields to take away. Names and values are
// valid already.
func NewSecurity(fields []SecurityField, remove []string) *Security {
	s := &Security{}
	for _, f := range fields {
		s.fields = append(s.fields, securityLine{strings.ToLower(f.Name), f.Name + ": " + f.Value + "\r\n", f.Precedence, f.TLSOnly})
	}
	for _, name := range remove {
		s.removes = append(s.removes, strings.ToLower(name))
	}
	return s
}

// Apply brings the head of an upstream's response in line. It comes before other edits, which
// have the last word.
func (s *Security) Apply(h *message.Head, secure bool) {
	for _, name := range s.removes {
		drop(h, name)
	}
	for i := range s.fields {
		l := &s.fields[i]
		if l.tlsOnly && !secure || l.precedence == Yields && h.FindName(l.lower) >= 0 {
			continue
		}
		if l.precedence == Replaces {
			drop(h, l.lower)
		}
		h.Extra = append(h.Extra, l.line...)
	}
}

// Complete adds the fields to a response of the proxy itself, except for those it has.
func (s *Security) Complete(h *message.Head, secure bool) {
	own := len(h.Extra)
	for i := range s.fields {
		l := &s.fields[i]
		if l.tlsOnly && !secure || l.precedence != Adds && hasExtra(h.Extra[:own], l.lower) {
			continue
		}
		h.Extra = append(h.Extra, l.line...)
	}
}

// hasExtra reports whether complete field lines hold one of a name, given in lower case.
func hasExtra(lines []byte, lower string) bool {
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		if colon := bytes.IndexByte(lines[:end], ':'); colon >= 0 && message.EqualFold(lines[:colon], lower) {
			return true
		}
		lines = lines[end:]
	}
	return false
}

// Strip takes the fields of the names, given in lower case, out of a request, with their
// look-alikes: a client can't say what a policy says.
func Strip(h *message.Head, names []string) {
	for _, name := range names {
		drop(h, name)
	}
}

// StripLines is Strip for a trailer section: complete field lines, which are changed in place.
func StripLines(lines []byte, names []string) []byte {
	kept := lines[:0]
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		if end == 0 {
			end = len(lines)
		}
		line := lines[:end]
		lines = lines[end:]
		if colon := bytes.IndexByte(line, ':'); colon < 0 || !isOneOf(line[:colon], names) {
			kept = append(kept, line...)
		}
	}
	return kept
}

func isOneOf(name []byte, names []string) bool {
	for _, n := range names {
		if Alike(name, n) {
			return true
		}
	}
	return false
}
