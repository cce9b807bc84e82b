package runbook

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	stepMark = regexp.MustCompile(`^### (\d+[a-z]?)\. (.+)$`)
	onlyIf   = regexp.MustCompile("^- Only if: `([^`]+)`$")
	formMark = map[string]Form{"One command:": OneCommand, "By hand:": ByHand, "To undo:": Undo}
)

// Parse reads the procedures of a page. An error names the line.
func Parse(page string) ([]Procedure, error) {
	p := parser{form: OneCommand}
	for line := range strings.Lines(page) {
		p.number++
		p.source(line)
		if err := p.line(strings.TrimRight(line, "\n")); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.number, err)
		}
	}
	if p.fence != "" {
		return nil, errors.New("the last block has no end")
	}
	var with []Procedure
	for i := range p.procedures {
		if len(p.procedures[i].Steps) > 0 {
			with = append(with, p.procedures[i])
		}
	}
	return with, check(with)
}

// parser is where in the page the reader stands.
type parser struct {
	number     int
	procedures []Procedure
	fence      string // the kind of the block that is open, empty outside
	form       Form   // of the next block
	script     strings.Builder
}

// source adds a line to the section that it stands in.
func (p *parser) source(line string) {
	if title, ok := strings.CutPrefix(line, "## "); ok && p.fence == "" {
		title = strings.TrimSpace(title)
		p.procedures = append(p.procedures, Procedure{Name: slug(title), Title: title})
	}
	if n := len(p.procedures); n > 0 {
		p.procedures[n-1].Source += line
	}
}

func (p *parser) line(line string) error {
	switch kind, isFence := strings.CutPrefix(line, "```"); {
	case p.fence != "" && line == "```":
		return p.closeFence()
	case p.fence != "":
		p.script.WriteString(line + "\n")
		return nil
	case isFence:
		return p.openFence(kind)
	}
	if strings.HasPrefix(line, "## ") {
		return nil
	}
	if m := stepMark.FindStringSubmatch(line); m != nil {
		return p.openStep(m[1], m[2])
	}
	if form, ok := formMark[line]; ok {
		p.form = form
		if s := p.step(); form == Undo && s != nil && len(s.Blocks) > 0 {
			p.form = s.Blocks[len(s.Blocks)-1].Form.undo()
		}
		return nil
	}
	return p.text(line)
}

// slug is the name of a section in addresses.
func slug(title string) string {
	return strings.ReplaceAll(strings.ToLower(title), " ", "-")
}

func (p *parser) openStep(id, title string) error {
	if len(p.procedures) == 0 {
		return errors.New("a step outside of a procedure")
	}
	now := &p.procedures[len(p.procedures)-1]
	if now.Step(id) != nil {
		return fmt.Errorf("%s has two steps %s", now.Name, id)
	}
	now.Steps = append(now.Steps, Step{ID: id, Title: title})
	p.form = OneCommand
	return nil
}

// step returns the step that the reader is in, nil outside.
func (p *parser) step() *Step {
	if len(p.procedures) == 0 {
		return nil
	}
	now := &p.procedures[len(p.procedures)-1]
	if len(now.Steps) == 0 {
		return nil
	}
	return &now.Steps[len(now.Steps)-1]
}

func (p *parser) openFence(kind string) error {
	if kind == "" {
		return errors.New("a block without a kind: sh for commands, text for others")
	}
	p.fence = kind
	p.script.Reset()
	if kind != "sh" {
		return nil
	}
	s := p.step()
	if s == nil {
		return errors.New("commands outside of a step")
	}
	s.Blocks = append(s.Blocks, Block{Form: p.form, Line: p.number})
	return nil
}

func (p *parser) closeFence() error {
	if p.fence == "sh" {
		s := p.step()
		s.Blocks[len(s.Blocks)-1].Script = p.script.String()
		p.form = OneCommand
	}
	p.fence = ""
	return nil
}

// text reads a line that is no heading and in no block.
func (p *parser) text(line string) error {
	s := p.step()
	if s == nil {
		if len(p.procedures) > 0 {
			now := &p.procedures[len(p.procedures)-1]
			now.Intro = join(now.Intro, line)
		}
		return nil
	}
	if m := onlyIf.FindStringSubmatch(line); m != nil {
		s.OnlyIf = m[1]
		return nil
	}
	changes, isChange := strings.CutPrefix(line, "- Changes: ")
	expect, isExpect := strings.CutPrefix(line, "- Expect: ")
	if !isChange && !isExpect {
		s.Text = join(s.Text, line)
		return nil
	}
	if len(s.Blocks) == 0 {
		return errors.New("a mark before the block that it is about")
	}
	b := &s.Blocks[len(s.Blocks)-1]
	if isChange {
		b.Changes = changes
		return nil
	}
	e, err := expectation(expect)
	b.Expect = append(b.Expect, e)
	return err
}

// join adds a line to a text without blank lines at its ends.
func join(text, line string) string {
	if text == "" {
		return line
	}
	return text + "\n" + line
}

// check looks for what the form of single lines doesn't show, and tidies texts.
func check(procedures []Procedure) error {
	for i := range procedures {
		procedures[i].Intro = strings.TrimSpace(procedures[i].Intro)
		for j := range procedures[i].Steps {
			s := &procedures[i].Steps[j]
			s.Text = strings.TrimSpace(s.Text)
			if s.Block(OneCommand) == nil {
				return fmt.Errorf("step %s of %s has no commands", s.ID, procedures[i].Name)
			}
			seen := make(map[Form]bool)
			for _, b := range s.Blocks {
				switch {
				case seen[b.Form]:
					return fmt.Errorf("line %d: step %s of %s has two blocks of the form %s", b.Line, s.ID, procedures[i].Name, b.Form)
				case len(b.Expect) == 0:
					return fmt.Errorf("line %d: the block has no \"- Expect:\" below it", b.Line)
				}
				seen[b.Form] = true
			}
		}
	}
	return nil
}
