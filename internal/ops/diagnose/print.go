package diagnose

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// width is that of a terminal in an incident.
const width = 80

// commandsOf is how many findings have their commands told; the others' are in the JSON.
const commandsOf = 3

// Print writes the report for a person at night: the verdict, the causes, what to do.
func (r *Report) Print(w io.Writer) error {
	p := &printer{Writer: bufio.NewWriter(w)}
	head := r.Severity.String() + ": "
	p.wrap(head, strings.Repeat(" ", len(head)), r.Verdict)
	p.causes(r.Findings)
	p.actions(r.Findings)
	p.list("Changed in the last hour", r.Changes)
	p.list("Not seen", r.Unseen)
	fmt.Fprintf(p, "\n%s, in %.1f s, for %s\n", r.At.UTC().Format("2006-01-02 15:04:05Z"), float64(r.TookMillis)/1000, r.ConfigFile)
	return p.Flush()
}

type printer struct{ *bufio.Writer }

// causes writes each finding with its evidence.
func (p *printer) causes(found []Finding) {
	for i := range found {
		f := &found[i]
		right := f.Severity.String()
		left := fmt.Sprintf("%d. %s", i+1, f.Code)
		fmt.Fprintf(p, "\n%s%s%s\n", left, strings.Repeat(" ", max(width-len(left)-len(right), 1)), right)
		p.wrap("   ", "   ", f.What)
		for _, line := range f.Evidence {
			if text, more := strings.CutPrefix(line, "  "); more {
				p.wrap("     ", "     ", text)
				continue
			}
			p.wrap("   - ", "     ", line)
		}
		if len(f.Because) > 0 {
			p.wrap("   ", "   ", "because of "+strings.Join(f.Because, ", "))
		}
		p.wrap("   ", "   ", fmt.Sprintf("Procedure: %s (%s)", f.Procedure.Name, f.Procedure.Section))
	}
}

// actions writes the commands of the first findings; one that was told is not told again.
func (p *printer) actions(found []Finding) {
	told := make(map[string]bool)
	for i := range found[:min(len(found), commandsOf)] {
		f := &found[i]
		fresh := false
		for _, c := range f.Commands {
			if told[c.Run] {
				continue
			}
			if !fresh {
				fmt.Fprintf(p, "\nDo, for %d. %s:\n", i+1, f.Code)
				fresh = true
			}
			told[c.Run] = true
			p.wrap("  # ", "  # ", c.Why)
			p.command(c.Run)
		}
	}
}

func (p *printer) list(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(p, "\n%s:\n", title)
	for _, line := range lines {
		p.wrap("  - ", "    ", line)
	}
}

// wrap writes a text in lines of at most width, unless a word is longer than that.
func (p *printer) wrap(begin, next, text string) {
	line := begin
	empty := true
	for i, w := range strings.Split(printable(text), " ") {
		switch {
		case i == 0 || empty:
			line += w
		case len(line)+1+len(w) > width:
			fmt.Fprintln(p, strings.TrimRight(line, " "))
			line = next + w
		default:
			line += " " + w
		}
		empty = false
	}
	fmt.Fprintln(p, strings.TrimRight(line, " "))
}

// command writes a line to paste. One that is too long goes on in the next line, after a
// backslash, where no quotes are open.
func (p *printer) command(run string) {
	line := "  "
	for i, w := range shellWords(printable(run)) {
		switch {
		case i == 0:
			line += w
		case len(line)+3+len(w) > width:
			fmt.Fprintln(p, line+" \\")
			line = "    " + w
		default:
			line += " " + w
		}
	}
	fmt.Fprintln(p, line)
}

// shellWords cuts a line at spaces outside of quotes.
func shellWords(s string) []string {
	var words []string
	var quote rune
	start := 0
	for i, c := range s {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ' ':
			words, start = append(words, s[start:i]), i+1
		}
	}
	return append(words, s[start:])
}

// printable takes out what would end a line or steer a terminal: evidence holds texts of others.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != ' ' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
