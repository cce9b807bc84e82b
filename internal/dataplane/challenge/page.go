package challenge

import (
	_ "embed" // the parts of the page
	"strconv"
	"strings"
)

// PageMax is more than the length of any page, in bytes.
const PageMax = 15 << 10

const (
	hostShownMax = 100 // bytes of a host that people are shown
	idShownMax   = 128 // of a request id
)

var (
	//go:embed page.html
	pageText string
	//go:embed notice.html
	noticeText string
	//go:embed style.css
	styleText string
	//go:embed script.js
	scriptText string

	pageParts   = split(pageText)
	noticeParts = split(noticeText)
)

// part is a piece of a template: fixed text, then the value of a name.
type part struct{ text, name string }

// split cuts a template at its names, "{name}", and puts style and script in.
func split(template string) []part {
	template = strings.ReplaceAll(template, "{reserved}", ReservedPath)
	var parts []part
	for {
		before, rest, ok := strings.Cut(template, "{")
		if !ok {
			return append(parts, part{text: before})
		}
		name, after, _ := strings.Cut(rest, "}")
		switch name {
		case "style":
			before, name = before+lines(styleText), ""
		case "script":
			before, name = before+lines(scriptText), ""
		}
		parts = append(parts, part{before, name})
		template = after
	}
}

// lines cuts indentation, comments of a whole line and blank lines.
func lines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "//") {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// NonceLen is the length of a nonce in bytes.
const NonceLen = 22

// Inputs are what a page shows and holds. All that comes from outside is escaped.
type Inputs struct {
	Nonce      [NonceLen]byte // for the Content-Security-Policy of this response alone
	Seed       [TextLen]byte
	Ticket     [TextLen]byte
	Difficulty int
	Wait       int // seconds
	Host       []byte
	Target     []byte // path and query to go on to without script
	RequestID  []byte
}

// AppendPage appends the page, a document of HTML shorter than PageMax.
func AppendPage(dst []byte, in *Inputs) []byte {
	for i := range pageParts {
		p := &pageParts[i]
		dst = append(dst, p.text...)
		switch p.name {
		case "nonce":
			dst = append(dst, in.Nonce[:]...)
		case "seed":
			dst = append(dst, in.Seed[:]...)
		case "ticket":
			dst = append(dst, in.Ticket[:]...)
		case "bits":
			dst = strconv.AppendInt(dst, int64(in.Difficulty), 10)
		case "wait":
			dst = strconv.AppendInt(dst, int64(in.Wait), 10)
		case "host":
			dst = appendText(dst, in.Host, hostShownMax)
		case "to":
			dst = appendLink(dst, in.Target)
		case "id":
			dst = appendID(dst, in.RequestID)
		}
	}
	return dst
}

// appendLink appends a path to go on to as a piece of an attribute.
func appendLink(dst, to []byte) []byte {
	start := len(dst)
	dst = appendPath(dst, to)
	path := len(dst)
	dst = appendText(dst, dst[start:path], path-start)
	n := copy(dst[start:], dst[path:])
	if n > linkMax {
		return append(dst[:start], '/')
	}
	return dst[:start+n]
}

func appendID(dst, id []byte) []byte {
	if len(id) == 0 {
		return append(dst, "unknown"...)
	}
	return appendText(dst, id, idShownMax)
}

// AppendPolicy appends the value of Content-Security-Policy for a page with a nonce. There is no
// form-action: browsers apply it to the redirects behind the form too, and the page asked for
// may rightly lead to another origin, such as a login.
func AppendPolicy(dst []byte, nonce [NonceLen]byte) []byte {
	dst = append(dst, "default-src 'none'; script-src 'nonce-"...)
	dst = append(dst, nonce[:]...)
	dst = append(dst, "'; style-src 'nonce-"...)
	dst = append(dst, nonce[:]...)
	return append(dst, "'; worker-src blob:; base-uri 'none'; frame-ancestors 'self'"...)
}

// AppendProblem appends problem details (RFC 9457) for a request that is no navigation.
func AppendProblem(dst, requestID []byte) []byte {
	dst = append(dst, `{"type":"about:blank","title":"Too Many Requests","status":429,`+
		`"detail":"This client sends more requests than usual. Send fewer, or open the site in a browser once and send its cookies.",`+
		`"request_id":"`...)
	for _, c := range requestID[:min(len(requestID), idShownMax)] {
		switch {
		case c < ' ', c > '~':
			c = '?'
		case c == '"', c == '\\':
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, "\"}\n"...)
}
