package challenge

import (
	"bytes"
	"strings"
)

// FormMax is how long the content of a POST to ReservedPath may be, in bytes.
const FormMax = 16 << 10

// linkMax bounds a path within a page, escaped, in bytes: pages have a size.
const linkMax = 2048

// form is what a client brings to ReservedPath.
type form struct {
	seed, answer, ticket, check []byte
	to                          []byte // not checked: see appendPath
}

// toParam begins the last parameter of a query of ours: all behind it is the path and query to
// go on to as it stands, so that it doesn't grow by being encoded again.
const toParam = "&to="

// parseForm reads the content of a form, application/x-www-form-urlencoded. Of a name that
// stands twice the first counts; names unknown are skipped. The decoded to is appended to dst.
func parseForm(dst, text []byte) (f form, grown []byte) {
	seen := false
	for len(text) > 0 {
		var pair []byte
		pair, text = cut(text, '&')
		name, value := cut(pair, '=')
		if string(name) != "to" {
			f.set(name, value)
		} else if !seen {
			seen = true
			start := len(dst)
			dst = appendDecoded(dst, value)
			f.to = dst[start:len(dst):len(dst)]
		}
	}
	return f, dst
}

// parseQuery reads a query that this package made.
func parseQuery(text []byte) (f form) {
	if i := bytes.Index(text, []byte(toParam)); i >= 0 {
		text, f.to = text[:i], text[i+len(toParam):]
	}
	for len(text) > 0 {
		var pair []byte
		pair, text = cut(text, '&')
		name, value := cut(pair, '=')
		f.set(name, value)
	}
	return f
}

// set keeps the value of a name that is known. They are digits or sealed texts, which no
// browser encodes.
func (f *form) set(name, value []byte) {
	var at *[]byte
	switch string(name) {
	case "seed":
		at = &f.seed
	case "answer":
		at = &f.answer
	case "ticket":
		at = &f.ticket
	case "check":
		at = &f.check
	default:
		return
	}
	if *at == nil {
		*at = value
	}
}

// appendDecoded undoes the encoding of a form. What is malformed is taken as it stands: the
// result is checked by who uses it.
func appendDecoded(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(text):
			high, low := unhex(text[i+1]), unhex(text[i+2])
			if high < 16 && low < 16 {
				c = high<<4 | low
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// appendPath appends the path and query to go on to, fit for a Location field: only ever of the
// same origin. What isn't a path, or would lead elsewhere or back to ReservedPath, becomes "/".
// "//x" and "/\x" are other hosts to a browser (URL Standard section 4.4), which also drops
// tabs and newlines before it looks.
func appendPath(dst, to []byte) []byte {
	if len(to) == 0 || to[0] != '/' || len(to) > 1 && (to[1] == '/' || to[1] == '\\') ||
		bytes.HasPrefix(to, []byte("/.sentinel/")) {
		return append(dst, '/')
	}
	start := len(dst)
	for _, c := range to {
		switch {
		case c < ' ', c == 0x7f:
			return append(dst[:start], '/')
		case c == ' ', c > 0x7f, strings.IndexByte("\"#<>\\^`{|}", c) >= 0:
			dst = appendPercent(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func appendPercent(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[c>>4], hex[c&15])
}

// appendText appends a text from outside as text of HTML, at most limit bytes of it.
func appendText(dst, text []byte, limit int) []byte {
	for _, c := range text[:min(len(text), limit)] {
		switch {
		case c < ' ', c > '~':
			dst = append(dst, '?')
		case c == '<', c == '>', c == '&', c == '"', c == '\'':
			dst = append(dst, '&', '#', '0'+c/10, '0'+c%10, ';')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
