package kdl

import (
	"fmt"
	"slices"
)

// Severity tells an error from a warning. Its zero value is Error.
type Severity uint8

// The severities.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Diagnostic is one problem in a text: where, what, and what to do about it.
type Diagnostic struct {
	File     string // name of the text, as given to Parse
	Span     Span   // zero when the problem has no place in the text
	Severity Severity
	Message  string // lower case, one line, no full stop
	Hint     string // how to put it right; may be empty
	Related  []Related
}

// Related is a second place that belongs to a diagnostic, such as the brace
// that was never closed or the first of two blocks.
type Related struct {
	File    string
	Span    Span
	Message string
}

// Errorf returns a diagnostic of severity Error.
func Errorf(file string, span Span, format string, args ...any) Diagnostic {
	return Diagnostic{File: file, Span: span, Message: fmt.Sprintf(format, args...)}
}

// Warningf returns a diagnostic of severity Warning.
func Warningf(file string, span Span, format string, args ...any) Diagnostic {
	d := Errorf(file, span, format, args...)
	d.Severity = Warning
	return d
}

// WithHint returns d with the hint.
func (d Diagnostic) WithHint(format string, args ...any) Diagnostic {
	d.Hint = fmt.Sprintf(format, args...)
	return d
}

// WithRelated returns d with one more related place.
func (d Diagnostic) WithRelated(file string, span Span, format string, args ...any) Diagnostic {
	d.Related = append(slices.Clip(d.Related), Related{file, span, fmt.Sprintf(format, args...)})
	return d
}

// Diagnostics are all problems found, in the order of the text as far as one
// text is concerned.
type Diagnostics []Diagnostic

// HasErrors reports whether one of them is an error.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// AppendText appends each diagnostic in the form
//
//	file:line:column: error: message
//	    4 |     weight 60s
//	      |            ^^^
//	hint: what to do
//	file:line:column: opened here
//
// sourceOf gives the text of a file for the excerpt; where it is nil or
// returns nil the excerpt is left out.
func (ds Diagnostics) AppendText(dst []byte, sourceOf func(file string) []byte) []byte {
	for i := range ds {
		dst = ds[i].AppendText(dst, sourceOf)
	}
	return dst
}

// AppendText appends the one diagnostic, as Diagnostics.AppendText does.
func (d *Diagnostic) AppendText(dst []byte, sourceOf func(file string) []byte) []byte {
	dst = appendPlace(dst, d.File, d.Span)
	dst = append(dst, d.Severity.String()...)
	dst = append(dst, ": "...)
	dst = append(dst, d.Message...)
	dst = append(dst, '\n')
	dst = appendExcerpt(dst, d.File, d.Span, sourceOf)
	if d.Hint != "" {
		dst = append(dst, "hint: "...)
		dst = append(dst, d.Hint...)
		dst = append(dst, '\n')
	}
	for _, r := range d.Related {
		dst = appendPlace(dst, r.File, r.Span)
		dst = append(dst, r.Message...)
		dst = append(dst, '\n')
		dst = appendExcerpt(dst, r.File, r.Span, sourceOf)
	}
	return dst
}

// String returns the diagnostic in one line: place, severity, message and
// hint.
func (d Diagnostic) String() string {
	dst := appendPlace(nil, d.File, d.Span)
	dst = append(dst, d.Severity.String()...)
	dst = append(dst, ": "...)
	dst = append(dst, d.Message...)
	if d.Hint != "" {
		dst = append(dst, " ("...)
		dst = append(dst, d.Hint...)
		dst = append(dst, ')')
	}
	return string(dst)
}
