package filter

import (
	"errors"
	"strings"
)

// Errors of checkLocation.
var (
	errAuthority = errors.New("only ${host} may stand in the host of a location: other text would let the client choose the host")
	errStart     = errors.New("a location with variables must start with a slash, a scheme and a host, ${scheme}://, ${path} or ?${query}")
)

// locationStart is how the text of a location begins.
type locationStart uint8

const (
	startOpen     locationStart = iota // nothing decided yet
	startInside                        // what follows is path, query or fragment
	startHost                          // the text after it is a host
	startRelative                      // a relative path that could still become a scheme
	startOther                         // a scheme without a host
)

// checkLocation returns an error when values could decide where a location leads to:
// they may stand in its path, query and fragment, and ${host} in its authority (RFC 3986
// section 3). It reads a location as browsers do, to whom a backslash is a slash and
// "https:/x" the host x.
func (t *Template) checkLocation() error {
	for i := range t.parts {
		p, rest := &t.parts[i], t.parts[i+1:]
		switch p.variable {
		case varMarkedQuery:
			continue // may be empty
		case varPath:
			return nil
		case varScheme:
			if len(rest) == 0 || !strings.HasPrefix(rest[0].text, "://") || rest[0].variable != varNone {
				return errStart
			}
			return checkAuthority(strings.TrimLeft(rest[0].text, `:/\`), rest[1:])
		case varNone:
			start, text := startOf(p.text)
			switch {
			case start == startInside || start != startHost && len(rest) == 0:
				return nil
			case start == startHost:
				return checkAuthority(text, rest)
			}
			return errStart
		default:
			return errStart
		}
	}
	return nil
}

// startOf tells how text, the first literal text of a location, begins; after a
// startHost it returns the text from the host on.
func startOf(text string) (start locationStart, rest string) {
	if after := strings.TrimLeft(text, `/\`); len(text)-len(after) > 1 {
		return startHost, after
	}
	i := strings.IndexAny(text, `:/\?#`)
	switch {
	case i < 0:
		return startRelative, ""
	case text[i] != ':':
		return startInside, ""
	}
	text = text[i+1:]
	if after := strings.TrimLeft(text, `/\`); len(text)-len(after) > 1 {
		return startHost, after
	}
	return startOther, ""
}

// checkAuthority checks the authority that starts with text and goes on in rest.
func checkAuthority(text string, rest []part) error {
	named := text != ""
	if strings.ContainsAny(text, `/\?#`) {
		return nil
	}
	for i := range rest {
		switch p := &rest[i]; p.variable {
		case varNone:
			if strings.ContainsAny(p.text, `/\?#`) {
				return nil
			}
			named = true
		case varHost:
			named = true
		case varMarkedQuery: // may be empty
		case varPath:
			if !named {
				return errAuthority
			}
			return nil
		default:
			return errAuthority
		}
	}
	if !named {
		return errAuthority
	}
	return nil
}

// escapeURI replaces the bytes of b from start on that can't stand in a URI (RFC 3986
// section 2) by percent-escapes, in place where b has room.
func escapeURI(b []byte, start int) []byte {
	const digits = "0123456789ABCDEF"
	bad := 0
	for _, c := range b[start:] {
		if !uriChar(c) {
			bad++
		}
	}
	if bad == 0 {
		return b
	}
	from := len(b)
	for range bad {
		b = append(b, 0, 0)
	}
	to := len(b)
	for from > start {
		from--
		c := b[from]
		if uriChar(c) {
			to--
			b[to] = c
			continue
		}
		to -= 3
		b[to], b[to+1], b[to+2] = '%', digits[c>>4], digits[c&15]
	}
	return b
}

// uriChar reports whether c may stand in a URI: reserved, unreserved or the start of an
// escape.
func uriChar(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte("\"<>\\^`{|}", c) < 0
}
