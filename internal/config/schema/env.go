package schema

import "strings"

// expand puts environment variables into a text: ${NAME} and ${NAME:-default}; $${ stands
// for ${ itself. Where the text is a pattern, only names in upper case are of the
// environment; the others are variables of the request and stay.
func (d *decoder) expand(text string, pattern bool, from *Origin) (string, bool) {
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
			if pattern {
				b.WriteString("$$") // stays escaped for the request's variables
				b.WriteString("{")
			} else {
				b.WriteString("${")
			}
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			d.errorAt(*from, "${ without }").hint("close it, or write $${ for the two characters themselves")
			return "", false
		}
		inner := text[i+2 : i+end]
		text = text[i+end+1:]
		name, fallback, has := strings.Cut(inner, ":-")
		if pattern && !isEnvName(name) {
			b.WriteString("${" + inner + "}")
			continue
		}
		value, set := d.env(name)
		switch {
		case set && (value != "" || !has):
			b.WriteString(value)
		case has:
			b.WriteString(fallback)
		default:
			d.errorAt(*from, "environment variable %s is not set", name).hint("set it, or give a default: ${%s:-DEFAULT}", name)
			return "", false
		}
		from.Env = true
	}
}

// isEnvName reports whether a name is spelled like an environment variable.
func isEnvName(s string) bool {
	return s != "" && strings.ToUpper(s) == s && !strings.ContainsAny(s, ":-")
}
