package fault

import (
	"bytes"
)

// FormOf picks the form by the value of an Accept field (RFC 9110 section
// 12.5.1): the listed form with the highest weight, the first one when weights
// are equal. Ranges with a wildcard, unknown types and an empty value lead to text. Repeated
// fields may be joined by commas; a malformed part is skipped.
func FormOf(accept []byte) Form {
	best, bestWeight := FormText, 0
	for len(accept) > 0 {
		var part []byte
		part, accept = cut(accept, ',')
		media, params := cut(part, ';')
		form, ok := mediaForm(bytes.TrimSpace(media))
		if !ok {
			continue
		}
		if w := weight(params); w > bestWeight {
			best, bestWeight = form, w
		}
	}
	return best
}

func cut(s []byte, sep byte) (before, after []byte) {
	if i := bytes.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, nil
}

func mediaForm(media []byte) (Form, bool) {
	switch {
	case equalFold(media, "application/json"), equalFold(media, "application/problem+json"):
		return FormJSON, true
	case equalFold(media, "text/html"), equalFold(media, "application/xhtml+xml"):
		return FormHTML, true
	case equalFold(media, "text/plain"):
		return FormText, true
	}
	return FormText, false
}

// weight returns the q parameter in thousandths; 1000 when there is none, 0 when it is malformed.
func weight(params []byte) int {
	for len(params) > 0 {
		var p []byte
		p, params = cut(params, ';')
		p = bytes.TrimSpace(p)
		if len(p) >= 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=' {
			return thousandths(p[2:])
		}
	}
	return 1000
}

func thousandths(q []byte) int {
	if len(q) == 0 || len(q) > 5 || q[0] < '0' || q[0] > '1' || (len(q) > 1 && q[1] != '.') {
		return 0
	}
	w, unit := int(q[0]-'0')*1000, 100
	for _, c := range q[min(2, len(q)):] {
		if c < '0' || c > '9' {
			return 0
		}
		w += int(c-'0') * unit
		unit /= 10
	}
	return min(w, 1000)
}

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
