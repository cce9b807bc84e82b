package runbook

import "strings"

// Form is which of a step's ways a block is.
type Form string

// The forms. A step has at least one of the first two.
const (
	OneCommand Form = "one-command"  // what the program itself offers
	ByHand     Form = "by-hand"      // classic tools
	Undo       Form = "undo"         // takes back what the one command has changed
	UndoByHand Form = "undo-by-hand" // takes back what was done by hand
)

// undoes reports whether blocks of the form take back what others do.
func (f Form) undoes() bool { return f == Undo || f == UndoByHand }

// undo is the form that takes back what a block of form f does.
func (f Form) undo() Form {
	if f == ByHand {
		return UndoByHand
	}
	return Undo
}

// Procedure is a section of the page that can be gone through.
type Procedure struct {
	Name   string `json:"name"` // the title in lower case with hyphens
	Title  string `json:"title"`
	Intro  string `json:"intro"` // what stands before the first step
	Steps  []Step `json:"steps"`
	Source string `json:"-"` // the section as it stands in the page
}

// Step is one step of a procedure.
type Step struct {
	ID     string  `json:"id"` // "3", or "5a" for one of several that do instead of each other
	Title  string  `json:"title"`
	Text   string  `json:"text,omitempty"`    // what stands in it beside blocks and marks
	OnlyIf string  `json:"only_if,omitempty"` // a command: the step is left out unless it exits with 0; empty: always
	Blocks []Block `json:"blocks"`
}

// Block is one block of commands.
type Block struct {
	Form    Form          `json:"form"`
	Line    int           `json:"line"` // of its fence in the page
	Script  string        `json:"script"`
	Changes string        `json:"changes,omitempty"` // what it changes; empty for one that only looks
	Expect  []Expectation `json:"expect"`
}

// symptomMark begins the line of an introduction that says when a procedure is the right one.
const symptomMark = "For: "

// Symptom says when the procedure is the right one.
func (p *Procedure) Symptom() string {
	for line := range strings.Lines(p.Intro) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), symptomMark); ok {
			return text
		}
	}
	return ""
}

// Find returns the procedure of a name, nil if there is none.
func Find(procedures []Procedure, name string) *Procedure {
	for i := range procedures {
		if procedures[i].Name == name {
			return &procedures[i]
		}
	}
	return nil
}

// Step returns the step of an ID, nil if there is none.
func (p *Procedure) Step(id string) *Step {
	for i := range p.Steps {
		if p.Steps[i].ID == id {
			return &p.Steps[i]
		}
	}
	return nil
}

// Block returns the block to run where form is preferred: the step's other way if it hasn't
// that one, nil if it has none.
func (s *Step) Block(form Form) *Block {
	var other *Block
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if b.Form == form {
			return b
		}
		if b.Form.undoes() == form.undoes() {
			other = b
		}
	}
	return other
}

// choice returns the number of a step that stands for others of the same number, empty for
// one that stands alone.
func (s *Step) choice() string {
	number := strings.TrimRight(s.ID, "abcdefghijklmnopqrstuvwxyz")
	if number == s.ID {
		return ""
	}
	return number
}
