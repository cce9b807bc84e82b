package schema

import (
	"strings"

	"sentinel/internal/config/kdl"
)

// expansion says what ${...} may be in a text.
type expansion uint8

const (
	// environmentOnly: every ${NAME} is an environment variable.
	environmentOnly expansion = iota
	// orVariable: names in upper case are of the environment, the others are variables
	// of the request and stay.
	orVariable
	// orGroup: names in upper case are of the environment, the others are groups of a
	// regular expression and stay.
	orGroup
)

// variables are the names that stand for parts of a request; "header:NAME" is one more.
var variables = []string{"client_ip", "client_port", "host", "method", "path", "query", "scheme", "request_id", "route", "upstream", "listener"}

// Variables returns the names of the request's variables, as in ${client_ip}; beside them
// there is ${header:NAME}.
func Variables() []string { return append([]string(nil), variables...) }

// expand puts environment variables into a text: ${NAME} and ${NAME:-default}. $${ stands
// for the two characters themselves.
func (d *decoder) expand(text string, mode expansion, from *Origin) (string, bool) {
	if !strings.Contains(text, "${") {
		return text, true
	}
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), true
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1])
			b.WriteString(escaped("${", mode))
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			d.errorAt(*from, "${ is not closed").hint("add }, or write $${ for the two characters themselves")
			return "", false
		}
		inner := text[i+2 : i+end]
		text = text[i+end+1:]
		value, ok := d.variable(inner, mode, from)
		if !ok {
			return "", false
		}
		b.WriteString(value)
	}
}

// escaped returns text so that it stands for itself when the mode's own variables are put
// in later.
func escaped(text string, mode expansion) string {
	switch mode {
	case orVariable:
		return strings.ReplaceAll(text, "${", "$${")
	case orGroup:
		return strings.ReplaceAll(text, "$", "$$")
	}
	return text
}

// variable returns what the inside of one ${...} stands for.
func (d *decoder) variable(inner string, mode expansion, from *Origin) (string, bool) {
	name, fallback, has := strings.Cut(inner, ":-")
	if mode != environmentOnly && !isUpper(name) {
		return "${" + inner + "}", mode == orGroup || d.known(inner, *from)
	}
	if !isEnvName(name) {
		d.errorAt(*from, "${%s} is no environment variable", inner).hint("write ${NAME} or ${NAME:-default}, or $${ for the two characters themselves")
		return "", false
	}
	value, isSet := d.env(name)
	from.Env = true
	switch {
	case isSet && (value != "" || !has):
		return escaped(value, mode), true
	case has:
		return escaped(fallback, mode), true
	}
	d.errorAt(*from, "environment variable %s is not set", name).hint("set it, or give a default: ${%s:-DEFAULT}", name)
	return "", false
}

// known reports whether name is a variable of the request, and says so where it is not.
func (d *decoder) known(name string, from Origin) bool {
	for _, v := range variables {
		if v == name {
			return true
		}
	}
	if field, ok := strings.CutPrefix(name, "header:"); ok && isToken(field) {
		return true
	}
	p := d.errorAt(from, "there is no variable ${%s}", name)
	if near := nearest(variables, name); near != "" {
		p.hint("did you mean ${%s}?", near)
	} else {
		p.hint("variables are: %s, header:NAME; names of the environment are in upper case here", strings.Join(variables, ", "))
	}
	return false
}

// fromEnv returns e, or where its text takes from the environment, the number or boolean
// that this makes.
func (d *decoder) fromEnv(e *kdl.Entry, from *Origin) (*kdl.Entry, bool) {
	if e.Value.Kind != kdl.String || !strings.Contains(e.Value.Text, "${") {
		return e, true
	}
	text, ok := d.expand(e.Value.Text, environmentOnly, from)
	if !ok {
		return nil, false
	}
	made := *e
	made.Value.Text, made.Value.Raw = text, quote(text)
	switch {
	case text == "true" || text == "false":
		made.Value.Kind, made.Value.Bool, made.Value.Raw = kdl.Bool, text == "true", "#"+text
	case isDecimal(text):
		made.Value.Kind, made.Value.Raw = kdl.Number, text
	}
	return &made, true
}

// isUpper reports whether a name is spelled as environment variables are by custom.
func isUpper(s string) bool { return isEnvName(s) && strings.ToUpper(s) == s }

// isEnvName reports whether s can be the name of an environment variable.
func isEnvName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
