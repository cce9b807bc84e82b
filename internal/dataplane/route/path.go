package route

import (
	"bytes"
	"errors"
)

// PathAction says what Canonicalise does with something doubtful in a path.
type PathAction uint8

// The actions. Which of them a part of a PathPolicy allows stands with its field; an
// action that it does not allow counts as Reject.
const (
	Reject  PathAction = iota // refuse the path
	Resolve                   // carry out dot segments (RFC 3986 section 5.2.4)
	Keep                      // leave it in the path
	Merge                     // make one slash of several
	Decode                    // take it for a slash that separates segments
)

// PathPolicy says how Canonicalise treats the parts of a path that servers disagree
// about. Its zero value refuses all of them.
type PathPolicy struct {
	// DotSegments are "." and "..", their dots escaped or not: Reject, Resolve or Keep.
	// With Keep a rule for /public also matches /public/../private; a path that leaves
	// the root, as /a/../../b does, is refused all the same.
	DotSegments PathAction
	// EncodedSlash is %2F: Reject, Keep or Decode.
	EncodedSlash PathAction
	// Backslash is \ or %5C: Reject, Keep (as %5C) or Decode.
	Backslash PathAction
	// DoubleSlash is an empty segment before the last: Reject, Merge or Keep.
	DoubleSlash PathAction
}

// DefaultPathPolicy resolves dot segments, merges slashes, and refuses escaped
// slashes and backslashes.
func DefaultPathPolicy() PathPolicy {
	return PathPolicy{DotSegments: Resolve, DoubleSlash: Merge}
}

// Rewritten returns the policy for a path that a rewrite has made: as p, but refusing
// dot segments, since those that the client sent are resolved by then and new ones would
// lead out of the prefix that was matched.
func (p PathPolicy) Rewritten() PathPolicy {
	p.DotSegments = Reject
	return p
}

// Why Canonicalise refuses a path.
var (
	ErrNotAbsolute  = errors.New("path does not start with a slash")
	ErrControl      = errors.New("path holds a control character")
	ErrEscape       = errors.New("path holds a malformed percent-escape")
	ErrDelimiter    = errors.New("path holds a space, question mark or number sign")
	ErrDotSegment   = errors.New("path holds a dot segment")
	ErrAboveRoot    = errors.New("path leaves the root")
	ErrHiddenDots   = errors.New("path holds a disguised dot segment")
	ErrEncodedSlash = errors.New("path holds an escaped slash")
	ErrBackslash    = errors.New("path holds a backslash")
	ErrDoubleSlash  = errors.New("path holds an empty segment")
)

// Canonicalise returns the one form of a request path that all of its spellings
// share (RFC 3986 section 6.2.2): escaped unreserved characters are decoded, other
// escapes are in upper case, characters that a path cannot hold are escaped, and p has
// been applied. An empty path becomes "/"; the result always starts with a slash and
// is its own canonical form.
//
// It returns path itself when a quick look shows that it is canonical already, else a
// slice made by appending to dst[:0], which must not overlap path and which the caller
// may keep for the next call. Whatever p says it refuses control
// characters, escaped or not, malformed escapes, and dot segments that only some
// servers see: with parameters (/..;/) or next to a kept escaped slash or backslash.
func Canonicalise(dst, path []byte, p *PathPolicy) (out []byte, err error) {
	if plain(path) {
		return path, nil
	}
	if len(path) == 0 {
		return append(dst[:0], '/'), nil
	}
	if path[0] != '/' {
		return nil, ErrNotAbsolute
	}
	c := canonicaliser{policy: p, out: append(dst[:0], '/'), segment: 1}
	for i := 1; i < len(path); {
		n, err := c.next(path[i:])
		if err != nil {
			return nil, err
		}
		i += n
	}
	if err := c.endSegment(true); err != nil {
		return nil, err
	}
	return c.out, nil
}

// plain reports whether path is canonical under every policy. It says no to a few
// that are.
func plain(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '%':
			if !plainEscape(path[i:]) {
				return false
			}
			i += 2
		case c == '/':
			if !plainStart(path[i+1:]) {
				return false
			}
		case !pathChar[c]:
			return false
		}
	}
	return true
}

// plainStart reports whether what follows a slash is neither a slash nor looks like a
// dot segment.
func plainStart(rest []byte) bool {
	if len(rest) == 0 || rest[0] != '/' && rest[0] != '.' {
		return true
	}
	return rest[0] == '.' && len(rest) > 1 && pathChar[rest[1]] &&
		rest[1] != '.' && rest[1] != '/' && rest[1] != ';'
}

// plainEscape reports whether rest starts with an escape that always stays as it is.
func plainEscape(rest []byte) bool {
	if len(rest) < 3 || hexValue[rest[1]] < 0 || hexValue[rest[2]] < 0 {
		return false
	}
	b := byte(hexValue[rest[1]]<<4 | hexValue[rest[2]])
	return rest[1] < 'a' && rest[2] < 'a' && b >= ' ' && b != 0x7f &&
		!unreserved(b) && b != '/' && b != '\\'
}

// canonicaliser writes a canonical path. Before each segment out ends with a slash.
type canonicaliser struct {
	policy  *PathPolicy
	out     []byte
	segment int // where the current segment starts in out
	depth   int // named segments before it less the ".." among them, when those are kept
}

// next takes one character or escape from the front of rest and returns its length.
func (c *canonicaliser) next(rest []byte) (n int, err error) {
	b := rest[0]
	switch {
	case b == '/':
		return 1, c.endSegment(false)
	case b == '%':
		if len(rest) < 3 || hexValue[rest[1]] < 0 || hexValue[rest[2]] < 0 {
			return 0, ErrEscape
		}
		return 3, c.escaped(byte(hexValue[rest[1]]<<4 | hexValue[rest[2]]))
	case b == '\\':
		return 1, c.escaped(b)
	case pathChar[b]:
		c.out = append(c.out, b)
		return 1, nil
	case b < ' ' || b == 0x7f:
		return 0, ErrControl
	case b == ' ' || b == '?' || b == '#':
		return 0, ErrDelimiter
	}
	c.appendEscape(b)
	return 1, nil
}

// escaped takes the character that an escape stands for.
func (c *canonicaliser) escaped(b byte) error {
	switch {
	case b < ' ' || b == 0x7f:
		return ErrControl
	case unreserved(b):
		c.out = append(c.out, b)
		return nil
	case b == '/':
		return c.separator(b, c.policy.EncodedSlash, ErrEncodedSlash)
	case b == '\\':
		return c.separator(b, c.policy.Backslash, ErrBackslash)
	}
	c.appendEscape(b)
	return nil
}

// separator takes a character that some servers take for a slash.
func (c *canonicaliser) separator(b byte, action PathAction, refusal error) error {
	switch action {
	case Keep:
		c.appendEscape(b)
		return nil
	case Decode:
		return c.endSegment(false)
	}
	return refusal
}

// endSegment closes the current segment. last says that no slash follows it.
func (c *canonicaliser) endSegment(last bool) error {
	segment := c.out[c.segment:]
	dots, hidden := dotSegment(segment)
	switch {
	case hidden:
		return ErrHiddenDots
	case dots > 0 && c.policy.DotSegments == Resolve:
		c.resolve(dots)
		return nil
	case dots > 0 && c.policy.DotSegments != Keep:
		return ErrDotSegment
	case !c.descend(segment, dots):
		return ErrAboveRoot
	case last:
		return nil
	case len(segment) == 0 && c.policy.DoubleSlash == Merge:
		return nil
	case len(segment) == 0 && c.policy.DoubleSlash != Keep:
		return ErrDoubleSlash
	}
	c.out = append(c.out, '/')
	c.segment = len(c.out)
	return nil
}

// descend counts segment into depth. It returns false above the root. A segment that some
// server may take for an empty one is not counted.
func (c *canonicaliser) descend(segment []byte, dots int) bool {
	switch {
	case dots == 2:
		c.depth--
	case dots == 1 || len(segment) == 0 || segment[0] == ';':
	case segment[0] == '%' && separates(byte(hexValue[segment[1]]<<4|hexValue[segment[2]])):
	default:
		c.depth++
	}
	return c.depth >= 0
}

// separates reports whether some server takes b for the end of a segment's name.
func separates(b byte) bool { return b == '/' || b == '\\' || b == ';' }

// resolve removes the current segment, which is dots dots, and with two of them the
// segment before it, if any (RFC 3986 section 5.2.4).
func (c *canonicaliser) resolve(dots int) {
	c.out = c.out[:c.segment]
	if dots == 2 && len(c.out) > 1 {
		c.out = c.out[:bytes.LastIndexByte(c.out[:len(c.out)-1], '/')+1]
	}
	c.segment = len(c.out)
}

func (c *canonicaliser) appendEscape(b byte) {
	const digits = "0123456789ABCDEF"
	c.out = append(c.out, '%', digits[b>>4], digits[b&15])
}

// dotSegment returns the number of dots when segment is a dot segment, else 0. hidden
// reports that it is none itself but that a server which strips parameters or decodes
// separators would find one in it.
func dotSegment(segment []byte) (dots int, hidden bool) {
	if isDots(segment) {
		return len(segment), false
	}
	start, end := 0, -1 // end is where parameters started, or -1
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' {
			c = byte(hexValue[segment[i+1]]<<4 | hexValue[segment[i+2]])
		}
		switch {
		case c == ';' && end < 0:
			end = i
		case c == '/' || c == '\\':
			if end < 0 {
				end = i
			}
			if isDots(segment[start:end]) {
				return 0, true
			}
			start, end = i+3, -1
		}
		if segment[i] == '%' {
			i += 2
		}
	}
	if end < 0 {
		end = len(segment)
	}
	return 0, isDots(segment[start:end])
}

func isDots(s []byte) bool {
	return len(s) == 1 && s[0] == '.' || len(s) == 2 && s[0] == '.' && s[1] == '.'
}

// unreserved reports whether b means the same escaped or not (RFC 3986 section 2.3).
func unreserved(b byte) bool {
	return b|0x20 >= 'a' && b|0x20 <= 'z' || b >= '0' && b <= '9' ||
		b == '-' || b == '.' || b == '_' || b == '~'
}

// pathChar holds the characters that stand unescaped in a path (RFC 3986 section 3.3).
var pathChar = func() (t [256]bool) {
	for i := range t {
		t[i] = unreserved(byte(i)) || bytes.IndexByte([]byte("!$&'()*+,;=:@/"), byte(i)) >= 0
	}
	return t
}()

// hexValue holds the value of each hexadecimal digit and -1 for other bytes.
var hexValue = func() (t [256]int16) {
	for i := range t {
		t[i] = -1
	}
	for i := range 10 {
		t['0'+i] = int16(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = int16(10+i), int16(10+i)
	}
	return t
}()
