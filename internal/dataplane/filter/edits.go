package filter

import (
	"errors"
	"fmt"
	"strings"

	"sentinel/internal/dataplane/message"
)

// Op is what an Edit does.
type Op uint8

// The operations, in the order in which they are carried out.
const (
	Remove Op = iota // takes away every line of the name
	Rename           // gives every line of the name another name
	Set              // takes away every line of the name and adds one
	Add              // adds a line
)

// Edit is one change to the header fields of a message, as configured.
type Edit struct {
	Op    Op
	Name  string // field name, in any letter case
	Value string // a template for Set and Add, the new name for Rename
}

// Edits is a compiled list of changes to the header fields of a message.
type Edits struct {
	removes []string // in lower case
	renames []renaming
	sets    []line
	adds    []line
}

type renaming struct {
	from string // in lower case
	to   string
}

// line is a field line to be written.
type line struct {
	name  string // in lower case
	start string // the name as written, colon and space
	value *Template
}

// CompileEdits compiles edits. Whatever their order in the list, removals come first,
// then renamings, then sets, then additions. The error names the edit that is wrong: a
// name that is no token (RFC 9110 section 5.6.2), one that the proxy must write itself
// (framing, hop-by-hop fields and Expect; also when spelled with underscores), a change that would leave a request without Host or
// with two, the same name set or renamed twice, or a value that is no template.
func CompileEdits(edits []Edit) (*Edits, error) {
	e := &Edits{}
	for i := range edits {
		if err := e.compile(&edits[i]); err != nil {
			return nil, err
		}
	}
	// A line renamed to a name that is set would only be taken away again, and it would
	// then be in Extra, where Apply doesn't look.
	kept := e.renames[:0]
	for _, r := range e.renames {
		if hasLine(e.sets, strings.ToLower(r.to)) {
			e.removes = append(e.removes, r.from)
			continue
		}
		kept = append(kept, r)
	}
	e.renames = kept
	return e, nil
}

func (e *Edits) compile(edit *Edit) error {
	if err := checkName(edit.Name); err != nil {
		return err
	}
	lower := strings.ToLower(edit.Name)
	if lower == "host" && edit.Op != Set {
		return fmt.Errorf("field %q can only be set: a request has exactly one", edit.Name)
	}
	switch edit.Op {
	case Remove:
		e.removes = append(e.removes, lower)
		return nil
	case Rename:
		return e.compileRename(lower, edit)
	}
	value, err := CompileTemplate(edit.Value)
	if err == nil && lower == "host" {
		err = value.checkHost()
	}
	if err != nil {
		return fmt.Errorf("value of field %q: %w", edit.Name, err)
	}
	l := line{name: lower, start: edit.Name + ": ", value: value}
	if edit.Op == Add {
		e.adds = append(e.adds, l)
		return nil
	}
	if hasLine(e.sets, lower) {
		return fmt.Errorf("field %q is set twice", edit.Name)
	}
	e.sets = append(e.sets, l)
	return nil
}

func (e *Edits) compileRename(lower string, edit *Edit) error {
	if err := checkName(edit.Value); err != nil {
		return fmt.Errorf("new name of field %q: %w", edit.Name, err)
	}
	if strings.EqualFold(edit.Value, "host") {
		return fmt.Errorf("field %q can't become Host: a request has exactly one", edit.Name)
	}
	for _, r := range e.renames {
		if r.from == lower {
			return fmt.Errorf("field %q is renamed twice", edit.Name)
		}
	}
	e.renames = append(e.renames, renaming{from: lower, to: edit.Value})
	return nil
}

func hasLine(lines []line, name string) bool {
	for i := range lines {
		if lines[i].name == name {
			return true
		}
	}
	return false
}

// checkName returns an error unless name is a field that may be edited.
func checkName(name string) error {
	if !isToken(name) {
		return fmt.Errorf("%q is not a field name", name)
	}
	switch message.Classify([]byte(strings.ReplaceAll(name, "_", "-"))) {
	case message.FieldConnection, message.FieldContentLength, message.FieldExpect,
		message.FieldHTTP2Settings, message.FieldKeepAlive, message.FieldProxyAuthenticate,
		message.FieldProxyAuthorization, message.FieldProxyConnection, message.FieldTE,
		message.FieldTrailer, message.FieldTransferEncoding, message.FieldUpgrade:
		return fmt.Errorf("field %q can't be edited: the proxy writes it for each connection", name)
	}
	return nil
}

// Apply carries out the edits on h: it marks lines as dropped and appends lines to
// h.Extra. Removals and sets also take away lines that stand in Extra already, which the
// proxy itself has added, and received lines whose name differs only in underscores for
// hyphens: many servers take X_User for X-User. Values of sets and additions see h as
// removals and renamings left it, before any set: ${header:X} in the value that X is set
// to is the value received. An empty value is written as such.
func (e *Edits) Apply(h *message.Head, v *Vars) {
	for _, name := range e.removes {
		drop(h, name)
		h.DropExtra(name)
	}
	for i := range e.renames {
		e.renames[i].apply(h)
	}
	for i := range e.sets {
		h.DropExtra(e.sets[i].name)
	}
	for i := range e.sets {
		e.sets[i].append(h, v)
	}
	for i := range e.adds {
		e.adds[i].append(h, v)
	}
	for i := range e.sets {
		drop(h, e.sets[i].name)
	}
}

func (r *renaming) apply(h *message.Head) {
	for i := range h.Fields {
		if !h.Fields[i].Dropped && message.EqualFold(h.FieldName(i), r.from) {
			h.Fields[i].Dropped = true
			h.Add(r.to, h.FieldValue(i))
		}
	}
}

func (l *line) append(h *message.Head, v *Vars) {
	h.Extra = append(h.Extra, l.start...)
	h.Extra = l.value.Append(h.Extra, v)
	h.Extra = append(h.Extra, '\r', '\n')
}

// checkHost returns an error unless the template can only make a host with or without
// port (RFC 9110 section 7.2): text of the client other than the host that was checked on
// arrival could name any other.
func (t *Template) checkHost() error {
	if len(t.parts) == 0 {
		return errors.New("it is empty")
	}
	for i := range t.parts {
		p := &t.parts[i]
		switch p.variable {
		case varMethod, varPath, varQuery, varMarkedQuery, varHeader:
			return errors.New("text of the client is not allowed here, except ${host}")
		}
		for j := range len(p.text) {
			if c := p.text[j]; c >= 0x80 || strings.IndexByte(" \"#/<>?@\\^`{|}", c) >= 0 {
				return fmt.Errorf("%q can't stand in a host", p.text[j:j+1])
			}
		}
	}
	return nil
}

// drop marks the lines of a name, given in lower case, and its look-alikes as not to be
// written.
func drop(h *message.Head, name string) {
	for i := range h.Fields {
		if Alike(h.FieldName(i), name) {
			h.Fields[i].Dropped = true
		}
	}
}

// Alike reports whether name equals lower, letter case and underscores for hyphens aside.
func Alike(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		want := lower[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != want && (c != '_' || want != '-') && (c != '-' || want != '_') {
			return false
		}
	}
	return true
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
