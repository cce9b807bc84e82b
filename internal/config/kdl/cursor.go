package kdl

import (
	"strings"
	"unicode/utf8"
)

// cursor walks a text and knows line and column of where it is.
type cursor struct {
	src string
	Pos
}

func newCursor(src string) cursor {
	return cursor{src, Pos{Offset: 0, Line: 1, Column: 1}}
}

// rest returns the text from the cursor on.
func (c *cursor) rest() string { return c.src[c.Offset:] }

// skip moves over n bytes without a newline.
func (c *cursor) skip(n int) {
	c.Column += int32(utf8.RuneCountInString(c.src[c.Offset : int(c.Offset)+n]))
	c.Offset += int32(n)
}

// advanceTo moves forward to an offset, over newlines too.
func (c *cursor) advanceTo(offset int) {
	for int(c.Offset) < offset {
		line := c.src[c.Offset:offset]
		i := strings.IndexFunc(line, isNewline)
		if i < 0 {
			c.skip(len(line))
			return
		}
		c.skip(i)
		c.Offset += int32(newlineLen(c.src[c.Offset:]))
		c.Line++
		c.Column = 1
	}
}

func isNewline(r rune) bool {
	return r >= '\n' && r <= '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
}
