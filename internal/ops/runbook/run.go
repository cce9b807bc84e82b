package runbook

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// outputMax is how much of a block's output is kept for expectations and the record; the
	// end of it, if there is more.
	outputMax = 1 << 20
	// effectLimit is how long an effect may take that is asked for, effectEvery how often it
	// is asked.
	effectLimit = 20 * time.Second
	effectEvery = 250 * time.Millisecond
)

// Options say how a procedure is gone through.
type Options struct {
	Form   Form     // which form of a step is preferred; with one that undoes, the last step comes first
	Steps  []string // only these, each of them; empty: all, of 5a, 5b and so on only until one has worked
	DryRun bool     // run nothing
	Yes    bool     // make changes without asking
	// Ask asks whether to make the change of a step; nil is a no.
	Ask func(*Step, *Block) bool
	// Tell is called with each step before it runs, if not nil; Show gets what it prints.
	Tell func(*Step, *Block)
	Show io.Writer
	Done func(*Result) // called behind each step, if not nil

	effect time.Duration // how long effects are waited for, if not effectLimit
}

// Result is what became of a step.
type Result struct {
	Step       string    `json:"step"`
	Title      string    `json:"title"`
	Form       Form      `json:"form"`
	Line       int       `json:"line"` // of the block in the page
	Script     string    `json:"script"`
	Changes    string    `json:"changes,omitempty"`
	Started    time.Time `json:"started,omitzero"`
	Seconds    float64   `json:"seconds"`
	Ran        bool      `json:"ran"`
	Skipped    string    `json:"skipped,omitempty"` // why it didn't run
	Code       int       `json:"code"`
	Output     string    `json:"output"`
	AsExpected bool      `json:"as_expected"`
	Misses     []string  `json:"misses,omitempty"` // expectations that weren't met
	Undo       string    `json:"undo,omitempty"`   // a command line that takes it back
}

// Run goes through a procedure. A step that looks runs at once; one that changes something is
// asked about. A change that hadn't the effect that is expected ends the run when nobody is
// asked (Yes). An error means that blocks can't be run at all.
func Run(ctx context.Context, p *Procedure, sh *Shell, o Options) ([]Result, error) {
	r := runner{sh: sh, o: o, name: p.Name, made: make(map[string]string)}
	steps := slices.Clone(p.Steps)
	if o.Form.undoes() {
		slices.Reverse(steps)
	}
	for i := range steps {
		s := &steps[i]
		b := s.Block(o.Form)
		if b == nil || len(o.Steps) > 0 && !slices.Contains(o.Steps, s.ID) {
			continue
		}
		res, err := r.step(ctx, s, b)
		if err != nil {
			return r.results, err
		}
		r.results = append(r.results, res)
		if o.Done != nil {
			o.Done(&res)
		}
		if res.Ran && res.Changes != "" && !res.AsExpected && o.Yes {
			break
		}
	}
	return r.results, nil
}

type runner struct {
	sh      *Shell
	o       Options
	name    string            // of the procedure
	made    map[string]string // the choices that have been made, and by which step
	results []Result
}

func (r *runner) step(ctx context.Context, s *Step, b *Block) (Result, error) {
	res := Result{Step: s.ID, Title: s.Title, Form: b.Form, Line: b.Line, Script: b.Script, Changes: b.Changes}
	why, err := r.left(ctx, s)
	if why != "" || err != nil {
		res.Skipped = why
		return res, err
	}
	if r.o.Tell != nil {
		r.o.Tell(s, b)
	}
	if r.o.DryRun {
		res.Skipped = "dry run"
		return res, nil
	}
	if b.Changes != "" && !r.o.Yes && (r.o.Ask == nil || !r.o.Ask(s, b)) {
		res.Skipped = "nobody said yes"
		return res, nil
	}
	if err := r.block(ctx, b, &res); err != nil {
		return res, err
	}
	if c := s.choice(); c != "" && res.AsExpected && b.Changes != "" {
		r.made[c] = s.ID
	}
	if b.Changes != "" {
		res.Undo, err = r.undo(ctx, s, b.Form)
	}
	return res, err
}

// variable is one that a block reads and that may have been set by the blocks before it.
var variable = regexp.MustCompile(`\$\{?([A-Z][A-Z0-9_]+)`)

// undo returns the command line that takes a step back, with the variables that this needs.
func (r *runner) undo(ctx context.Context, s *Step, form Form) (string, error) {
	b := s.Block(form.undo())
	if b == nil {
		return "", nil
	}
	line := "sentinel runbook run " + r.name + " --step " + s.ID + " --undo"
	if form == ByHand {
		line += " --by-hand"
	}
	var names []string
	for _, m := range variable.FindAllStringSubmatch(b.Script, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	for _, name := range slices.Backward(slices.Compact(names)) {
		var value tail
		if _, err := r.sh.Run(ctx, fmt.Sprintf("printf '%%s=%%q ' %s \"$%s\"", name, name), &value); err != nil {
			return "", err
		}
		line = value.String() + line
	}
	return line, nil
}

// left says why a step is left out, if it is.
func (r *runner) left(ctx context.Context, s *Step) (string, error) {
	if made := r.made[s.choice()]; made != "" && s.choice() != "" && len(r.o.Steps) == 0 {
		return "step " + made + " has done it", nil
	}
	if s.OnlyIf == "" || r.o.DryRun || r.o.Form.undoes() {
		return "", nil
	}
	code, err := r.sh.Run(ctx, s.OnlyIf, io.Discard)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.OnlyIf, err)
	}
	if code != 0 {
		return "its condition doesn't hold: " + s.OnlyIf, nil
	}
	return "", nil
}

// block runs a block and looks whether it does what is expected.
func (r *runner) block(ctx context.Context, b *Block, res *Result) error {
	var kept tail
	out := io.Writer(&kept)
	if r.o.Show != nil {
		out = io.MultiWriter(&kept, r.o.Show)
	}
	res.Ran, res.Started = true, time.Now()
	code, err := r.sh.Run(ctx, b.Script, out)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	res.Code, res.Output = code, kept.String()
	if err != nil {
		res.Misses = append(res.Misses, "an end: "+err.Error())
	}
	for i := range b.Expect {
		e := &b.Expect[i]
		if e.Command == "" && e.met(res.Output, code) {
			continue
		}
		if e.Command != "" && r.comes(ctx, e) {
			continue
		}
		res.Misses = append(res.Misses, e.Text)
	}
	res.AsExpected = len(res.Misses) == 0
	res.Seconds = time.Since(res.Started).Seconds()
	return ctx.Err()
}

// comes asks for an effect until it is there.
func (r *runner) comes(ctx context.Context, e *Expectation) bool {
	tick := time.NewTicker(effectEvery)
	defer tick.Stop()
	for end := time.Now().Add(cmp.Or(r.o.effect, effectLimit)); ; {
		var kept tail
		code, err := r.sh.Run(ctx, e.Command, &kept)
		if err == nil && e.met(kept.String(), code) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct{ buf bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	t.buf.Write(b)
	if over := t.buf.Len() - outputMax; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(t.buf.String(), "\ufffd") }
