package filter

import (
	"errors"
	"fmt"
	"strings"

	"sentinel/internal/dataplane/message"
)

// Vars holds the values that templates insert. What is unknown stays empty.
type Vars struct {
	ClientIP   []byte // the client's address as text
	ClientPort []byte
	Host       []byte
	Method     []byte
	Path       []byte
	Query      []byte // without its question mark
	Scheme     []byte // http or https
	RequestID  []byte
	Route      string
	Upstream   string
	Listener   string
	Head       *message.Head // the request head, for ${header:Name}; may be nil
}

// variable is something that a template can insert.
type variable uint8

const (
	varNone variable = iota // literal text
	varClientIP
	varClientPort
	varHost
	varMethod
	varPath
	varQuery
	varMarkedQuery // the query with a question mark before it, or nothing
	varScheme
	varRequestID
	varRoute
	varUpstream
	varListener
	varHeader
)

const knownVariables = "client_ip, client_port, host, method, path, query, scheme, request_id, " +
	"route, upstream, listener, header:Name"

func variableNamed(name string) (variable, bool) {
	switch name {
	case "client_ip":
		return varClientIP, true
	case "client_port":
		return varClientPort, true
	case "host":
		return varHost, true
	case "method":
		return varMethod, true
	case "path":
		return varPath, true
	case "query":
		return varQuery, true
	case "scheme":
		return varScheme, true
	case "request_id":
		return varRequestID, true
	case "route":
		return varRoute, true
	case "upstream":
		return varUpstream, true
	case "listener":
		return varListener, true
	}
	return varNone, false
}

// Template is text with variables.
type Template struct {
	parts []part
}

// part is literal text, or a variable; text is then the field name of varHeader, in
// lower case.
type part struct {
	variable variable
	text     string
}

// CompileTemplate reads a template. ${name} stands for a variable (client_ip,
// client_port, host, method, path, query, scheme, request_id, route, upstream,
// listener, header:Name), $${ for the two characters ${, and every other dollar sign for
// itself. A question mark just before ${query} is left out when the query is empty.
// The error tells of an unknown variable, one that is not closed, or a control
// character in the text.
func CompileTemplate(text string) (*Template, error) {
	for i := range len(text) {
		if isControl(text[i]) {
			return nil, fmt.Errorf("control character %#02x at byte %d of the text", text[i], i)
		}
	}
	t := &Template{}
	for text != "" {
		start := strings.Index(text, "${")
		switch {
		case start < 0:
			t.literal(text)
			return t, nil
		case start > 0 && text[start-1] == '$':
			t.literal(text[:start-1] + "${")
			text = text[start+2:]
			continue
		}
		t.literal(text[:start])
		text = text[start+2:]
		end := strings.IndexByte(text, '}')
		if end < 0 {
			return nil, errors.New("variable is not closed: ${ without }")
		}
		if err := t.insert(text[:end]); err != nil {
			return nil, err
		}
		text = text[end+1:]
	}
	return t, nil
}

// literal adds text, in one part with text before it.
func (t *Template) literal(text string) {
	if text == "" {
		return
	}
	if n := len(t.parts); n > 0 && t.parts[n-1].variable == varNone {
		t.parts[n-1].text += text
		return
	}
	t.parts = append(t.parts, part{text: text})
}

// insert adds the variable of that name.
func (t *Template) insert(name string) error {
	if field, ok := strings.CutPrefix(name, "header:"); ok {
		if !isToken(field) {
			return fmt.Errorf("%q in ${%s} is not a field name", field, name)
		}
		t.parts = append(t.parts, part{varHeader, strings.ToLower(field)})
		return nil
	}
	v, ok := variableNamed(name)
	if !ok {
		return fmt.Errorf("unknown variable ${%s}; known are %s", name, knownVariables)
	}
	if v == varQuery {
		v = t.markQuery()
	}
	t.parts = append(t.parts, part{variable: v})
	return nil
}

// markQuery takes a question mark from the end of the last part into the variable.
func (t *Template) markQuery() variable {
	n := len(t.parts)
	if n == 0 || t.parts[n-1].variable != varNone || !strings.HasSuffix(t.parts[n-1].text, "?") {
		return varQuery
	}
	last := &t.parts[n-1]
	if last.text = strings.TrimSuffix(last.text, "?"); last.text == "" {
		t.parts = t.parts[:n-1]
	}
	return varMarkedQuery
}

// Append appends the text with the values of v to dst. Control characters in values are
// left out, so that a value can't end the field line that it is put in.
func (t *Template) Append(dst []byte, v *Vars) []byte {
	for i := range t.parts {
		dst = t.parts[i].append(dst, v)
	}
	return dst
}

func (p *part) append(dst []byte, v *Vars) []byte {
	switch p.variable {
	case varNone:
		return append(dst, p.text...)
	case varClientIP:
		return appendClean(dst, v.ClientIP)
	case varClientPort:
		return appendClean(dst, v.ClientPort)
	case varHost:
		return appendClean(dst, v.Host)
	case varMethod:
		return appendClean(dst, v.Method)
	case varPath:
		return appendClean(dst, v.Path)
	case varQuery:
		return appendClean(dst, v.Query)
	case varMarkedQuery:
		if len(v.Query) > 0 {
			dst = append(dst, '?')
		}
		return appendClean(dst, v.Query)
	case varScheme:
		return appendClean(dst, v.Scheme)
	case varRequestID:
		return appendClean(dst, v.RequestID)
	case varRoute:
		return appendClean(dst, v.Route)
	case varUpstream:
		return appendClean(dst, v.Upstream)
	case varListener:
		return appendClean(dst, v.Listener)
	}
	return appendHeader(dst, v.Head, p.text)
}

// appendHeader appends the value of the first kept line of that name.
func appendHeader(dst []byte, h *message.Head, lower string) []byte {
	if h == nil {
		return dst
	}
	i := h.FindName(lower)
	if i < 0 {
		return dst
	}
	return appendClean(dst, h.FieldValue(i))
}

func appendClean[S []byte | string](dst []byte, value S) []byte {
	for i := range len(value) {
		if !isControl(value[i]) {
			continue
		}
		dst = append(dst, value[:i]...)
		for ; i < len(value); i++ {
			if !isControl(value[i]) {
				dst = append(dst, value[i])
			}
		}
		return dst
	}
	return append(dst, value...)
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }
