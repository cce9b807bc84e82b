package runbook

import (
	"fmt"
	"regexp"
	"strconv"
)

// Expectation is one thing that a block does where all goes as the page says.
type Expectation struct {
	Text    string         `json:"text"`              // as the page has it
	Command string         `json:"command,omitempty"` // what is asked instead of the block's own output, until it answers so
	Prints  *regexp.Regexp `json:"-"`                 // what is printed; nil where only the exit code counts
	Absent  bool           `json:"-"`                 // that what Prints matches is not printed
	Code    int            `json:"-"`                 // the exit code, if Prints is nil
}

var (
	outputMark = regexp.MustCompile("^(?:`([^`]+)` )?prints (no )?(?:`([^`]+)`|nothing)$")
	codeMark   = regexp.MustCompile(`^exit code (\d+)$`)
)

// anything is what "prints nothing" means the absence of.
const anything = `\S`

// expectation reads what stands behind "Expect:".
func expectation(text string) (Expectation, error) {
	e := Expectation{Text: text}
	if m := codeMark.FindStringSubmatch(text); m != nil {
		code, err := strconv.Atoi(m[1])
		e.Code = code
		return e, err
	}
	m := outputMark.FindStringSubmatch(text)
	if m == nil || m[2] != "" && m[3] == "" {
		return e, fmt.Errorf("%q: wanted is \"prints `pattern`\", \"prints no `pattern`\", \"prints nothing\", \"exit code N\" or one of the first three behind a `command`", text)
	}
	e.Command, e.Absent = m[1], m[2] != "" || m[3] == ""
	pattern := m[3]
	if pattern == "" {
		pattern = anything
	}
	var err error
	e.Prints, err = regexp.Compile("(?m)" + pattern)
	return e, err
}

// met reports whether what a command did is what is expected.
func (e *Expectation) met(output string, code int) bool {
	if e.Prints == nil {
		return code == e.Code
	}
	return e.Prints.MatchString(output) != e.Absent
}
