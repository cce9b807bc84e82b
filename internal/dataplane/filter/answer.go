package filter

import (
	"errors"
	"fmt"
)

// Redirect sends the client to another place.
type Redirect struct {
	status   int
	location *Template
	// open is true when values decide whether the location starts with two slashes.
	open bool
}

// NewRedirect makes a Redirect with status 301, 302, 303, 307 or 308 (RFC 9110 section
// 15.4) and a template for the Location field, in whose scheme and host no value but
// ${scheme} and ${host} may stand.
func NewRedirect(status int, location string) (*Redirect, error) {
	switch status {
	case 301, 302, 303, 307, 308:
	default:
		return nil, fmt.Errorf("status %d does not redirect; use 301, 302, 303, 307 or 308", status)
	}
	if location == "" {
		return nil, errors.New("location is empty")
	}
	t, err := CompileTemplate(location)
	if err != nil {
		return nil, fmt.Errorf("location: %w", err)
	}
	if err := t.checkLocation(); err != nil {
		return nil, err
	}
	start := t.parts[0]
	open := start.variable != varNone || start.text == "/" && len(t.parts) > 1
	return &Redirect{status: status, location: t, open: open}, nil
}

// Status returns the status code of the answer.
func (r *Redirect) Status() int { return r.status }

// AppendLocation appends the value of the Location field to dst. Where the location
// starts with a variable, or with a slash and a variable, several slashes or
// backslashes at its start become one slash: two would name a host that the client
// could choose (RFC 3986 section 4.2). What can't stand in a URI is percent-escaped.
func (r *Redirect) AppendLocation(dst []byte, v *Vars) []byte {
	start := len(dst)
	dst = r.location.Append(dst, v)
	if r.open {
		dst = mergeSlashes(dst, start)
	}
	return escapeURI(dst, start)
}

// mergeSlashes makes one slash of several slashes and backslashes at start.
func mergeSlashes(dst []byte, start int) []byte {
	slashes := 0
	for _, c := range dst[start:] {
		if c != '/' && c != '\\' {
			break
		}
		slashes++
	}
	if slashes < 2 {
		return dst
	}
	n := copy(dst[start+1:], dst[start+slashes:])
	dst[start] = '/'
	return dst[:start+1+n]
}

// Answer is a fixed response that needs no upstream.
type Answer struct {
	Status      int
	ContentType string // media type; empty for none
	Body        []byte // the content
}
