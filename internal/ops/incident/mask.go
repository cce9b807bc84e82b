package incident

import (
	"regexp"
	"strings"

	"sentinel/internal/config/kdl"
)

// masked stands where a secret was.
const masked = "***"

// secretName is what names of keys and fields that hold secrets look like; a name that ends
// as pathName does holds only where one is.
var (
	secretName = regexp.MustCompile(`(?i)(pass(word|wd|phrase)|secret|token|credential|api-?key|hmac|authorization|cookie|private)`)
	pathName   = regexp.MustCompile(`(?i)(-file|-env|-dir|-from|-header|-url|-secs|-bits)$`)
	// userInfo is a name and a password in a URL (RFC 3986 section 3.2.1).
	userInfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s"?#]*@`)
	// queryValue is a value in a query whose name says that it is secret.
	queryValue = regexp.MustCompile(`(?i)([?&;][^=&\s"]*(?:pass|secret|token|key|sig)[^=&\s"]*=)[^&\s"#]+`)
	// quoted is a string on a line that can't be parsed.
	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// MaskConfig returns a configuration's text with the secrets in it replaced by ***. Strings
// that the configuration doesn't read, such as those in comments or in a text that can't be
// parsed, are masked on every line that looks as if it held a secret.
func MaskConfig(name string, text []byte) []byte {
	doc, diags := kdl.Parse(name, text, kdl.Options{})
	if diags.HasErrors() || maskNodes(doc, doc.Nodes) != nil {
		return maskLines(text, nil)
	}
	text = doc.AppendText(nil)
	if doc, diags = kdl.Parse(name, text, kdl.Options{}); diags.HasErrors() {
		return maskLines(text, nil)
	}
	read := make(map[int]bool)
	noteStrings(read, doc.Nodes)
	return maskLines(text, read)
}

// noteStrings notes where names and values begin.
func noteStrings(read map[int]bool, nodes []*kdl.Node) {
	for _, n := range nodes {
		read[int(n.Name.Span.Start.Offset)] = true
		for _, e := range n.Entries {
			if e.Name != nil {
				read[int(e.Name.Span.Start.Offset)] = true
			}
			read[int(e.Value.Span.Start.Offset)] = true
		}
		noteStrings(read, n.Children)
	}
}

func maskNodes(doc *kdl.Document, nodes []*kdl.Node) error {
	for _, n := range nodes {
		first := n.Arg(0)
		for _, e := range n.Entries {
			name := n.Name.Text
			switch {
			case e.Name != nil:
				name = e.Name.Text
			case e != first && first.Value.Kind == kdl.String && isSecret(first.Value.Text):
				name = first.Value.Text // set "Authorization" "..."
			}
			if err := maskValue(doc, e, isSecret(name)); err != nil {
				return err
			}
		}
		if err := maskNodes(doc, n.Children); err != nil {
			return err
		}
	}
	return nil
}

func isSecret(name string) bool { return secretName.MatchString(name) && !pathName.MatchString(name) }

func maskValue(doc *kdl.Document, e *kdl.Entry, secret bool) error {
	if e.Value.Kind != kdl.String {
		return nil
	}
	text := maskURL(e.Value.Text)
	if secret {
		text = masked
	}
	if text == e.Value.Text {
		return nil
	}
	return doc.SetValue(e, kdl.StringValue(text))
}

// maskURL masks what is secret in a URL, and leaves other text alone.
func maskURL(text string) string {
	if !strings.Contains(text, "://") && !strings.Contains(text, "?") {
		return text
	}
	text = userInfo.ReplaceAllString(text, "${1}"+masked+"@")
	return queryValue.ReplaceAllString(text, "${1}"+masked)
}

// maskLines masks the strings of lines that look as if they held a secret, but for those that
// begin at an offset in read.
func maskLines(text []byte, read map[int]bool) []byte {
	var out []byte
	at := 0
	for line := range strings.SplitAfterSeq(string(text), "\n") {
		if secretName.MatchString(line) {
			out = maskStrings(out, line, at, read)
		} else {
			out = append(out, maskURL(line)...)
		}
		at += len(line)
	}
	return out
}

// maskStrings appends line, which begins at the offset at, with its strings masked.
func maskStrings(out []byte, line string, at int, read map[int]bool) []byte {
	last := 0
	for _, m := range quoted.FindAllStringIndex(line, -1) {
		out = append(out, maskURL(line[last:m[0]])...)
		if last = m[1]; read[at+m[0]] {
			out = append(out, line[m[0]:m[1]]...)
		} else {
			out = append(out, `"`+masked+`"`...)
		}
	}
	return append(out, maskURL(line[last:])...)
}
