package auth

import (
	"encoding/json"
	"strconv"
	"strings"
)

// claimBytesMax bounds the text of a claim.
const claimBytesMax = 2048

// find returns a claim: one of that name, or, where dots are in it, one of an object in
// another: "realm_access.roles".
func find(claims map[string]any, name string) (value any, ok bool) {
	if v, ok := claims[name]; ok {
		return v, true
	}
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		if inner, ok := claims[name[:i]].(map[string]any); ok {
			return find(inner, name[i+1:])
		}
	}
	return nil, false
}

// holds reports whether a claim is a value, or a list that holds it: an array, or words in a
// text as scope has them (RFC 8693 section 4.2).
func holds(claim any, want string) bool {
	switch v := claim.(type) {
	case []any:
		for _, x := range v {
			if s, ok := plain(x); ok && s == want {
				return true
			}
		}
		return false
	case string:
		if v == want {
			return true
		}
		for word := range strings.FieldsSeq(v) {
			if word == want {
				return true
			}
		}
		return false
	}
	s, ok := plain(claim)
	return ok && s == want
}

// text returns a claim as a text: an array as a list with commas. Objects have none, nor do
// texts that are too long.
func text(claims map[string]any, name string) (s string, ok bool) {
	v, ok := find(claims, name)
	if !ok {
		return "", false
	}
	list, several := v.([]any)
	if !several {
		list = []any{v}
	}
	for i, x := range list {
		part, ok := plain(x)
		if !ok || len(s)+len(part) > claimBytesMax {
			return "", false
		}
		if i > 0 {
			s += ","
		}
		s += part
	}
	return s, true
}

// plain returns the text of a value that isn't made of others.
func plain(v any) (s string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// fieldValue reports whether a text can be a field value as it is (RFC 9110 section 5.5).
func fieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 127 {
			return false
		}
	}
	return true
}
