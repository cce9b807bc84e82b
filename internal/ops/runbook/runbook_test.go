package runbook

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"sentinel/docs"
)

// page is a small runbook; ”' stands for a fence.
const page = `# A page

## About
Nothing to run.

'''text
not a command
'''

## Leak in the boat
For: wet feet.

### 1. Where is it?
Look down.

One command:
'''sh
HOLE=bow; echo "at the $HOLE"
'''
- Expect: prints ~^at the \w+$~

By hand:
'''sh
echo by hand
'''
- Expect: prints ~hand~
- Expect: exit code 0

### 2a. Plug it
- Only if: ~[ "$HOLE" = stern ]~

'''sh
echo plugged
'''
- Changes: the hole
- Expect: prints ~plugged~

### 2b. Bail

'''sh
echo $HOLE > "$FILE"
'''
- Changes: how wet it is
- Expect: prints nothing
- Expect: ~cat "$FILE"~ prints ~bow~

To undo:
'''sh
rm "$FILE"; echo "no more $HOLE"
'''
- Expect: prints ~no more bow~

### 2c. Swim

'''sh
echo splash
'''
- Changes: where you are
- Expect: prints ~splash~

### 3. Dry?

'''sh
exit 3
'''
- Expect: prints no ~wet~
- Expect: exit code 0
`

func text(s string) string { return strings.NewReplacer("'''", "```", "~", "`").Replace(s) }

func parse(t *testing.T) *Procedure {
	t.Helper()
	all, err := Parse(text(page))
	if err != nil || len(all) != 1 {
		t.Fatalf("Parse = %d procedures, %v, want the one that has steps", len(all), err)
	}
	return &all[0]
}

func TestParse(t *testing.T) {
	p := parse(t)
	if p.Name != "leak-in-the-boat" || p.Symptom() != "wet feet." || len(p.Steps) != 5 {
		t.Errorf("procedure %q for %q with %d steps", p.Name, p.Symptom(), len(p.Steps))
	}
	if !strings.HasPrefix(p.Source, "## Leak in the boat\n") || !strings.HasSuffix(p.Source, "`wet`\n- Expect: exit code 0\n") {
		t.Errorf("source = %q, want the section", p.Source)
	}
	s := p.Step("1")
	if s.Text != "Look down." || len(s.Blocks) != 2 || s.Block(ByHand).Script != "echo by hand\n" || s.Block(Undo) != nil {
		t.Errorf("step 1 = %+v", s)
	}
	if got := p.Step("2b").Block(ByHand); got == nil || got.Form != OneCommand || got.Changes != "how wet it is" || len(got.Expect) != 2 {
		t.Errorf("Block(ByHand) of a step with one way = %+v, want that way", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{"## P\n'''sh\nls\n'''\n", "line 2: commands outside of a step"},
		{"'''sh\nls\n'''\n", "line 1: commands outside of a step"},
		{"## P\n### 1. S\n'''\nls\n'''\n", "line 3: a block without a kind"},
		{"## P\n### 1. S\n'''sh\nls\n'''\n", "line 3: the block has no"},
		{"## P\n### 1. S\n'''sh\nls\n'''\n- Expect: wonders\n", `line 6: "wonders": wanted is`},
		{"## P\n### 1. S\n'''sh\nls\n'''\n- Expect: prints no nothing\n", "line 6: "},
		{"## P\n### 1. S\n'''sh\nls\n'''\n- Expect: prints ~(~\n", "line 6: error parsing regexp"},
		{"## P\n### 1. S\n- Changes: x\n", "line 3: a mark before the block"},
		{"## P\n### 1. S\n", "step 1 of p has no commands"},
		{"## P\n### 1. S\n'''sh\nls\n", "the last block has no end"},
		{"## P\n### 1. S\n### 1. T\n", "line 3: p has two steps 1"},
		{"### 1. S\n", "line 1: a step outside of a procedure"},
		{"## P\n### 1. S\n'''sh\nls\n'''\n- Expect: exit code 0\n'''sh\nls\n'''\n- Expect: exit code 0\n", "line 7: step 1 of p has two blocks of the form one-command"},
	} {
		if _, err := Parse(text(c.page)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%q) = %v, want %q in it", c.page, err, c.want)
		}
	}
}

// TestPage parses the page that the program carries.
func TestPage(t *testing.T) {
	all, err := Parse(docs.Runbook)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"first-five-minutes", "process-crash", "health-check-failure", "upstream-failure", "high-error-rate", "memory-exhaustion",
		"tls-and-certificates", "reload-failure", "attack", "performance-degradation", "post-incident", "quick-reference",
	} {
		if p := Find(all, name); p == nil || p.Symptom() == "" {
			t.Errorf("%s isn't there or doesn't say what it is for", name)
		}
	}
}

// shorthand writes results as "1 ok, 2a left out, 3 not ok".
func shorthand(results []Result) string {
	var out []string
	for i := range results {
		switch r := &results[i]; {
		case !r.Ran:
			out = append(out, r.Step+" left out")
		case r.AsExpected:
			out = append(out, r.Step+" ok")
		default:
			out = append(out, r.Step+" not ok")
		}
	}
	return strings.Join(out, ", ")
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		env  string
		want string
	}{
		{"changes are made when told so", Options{Yes: true}, "", "1 ok, 2a left out, 2b ok, 2c left out, 3 not ok"},
		{"nobody to ask", Options{}, "", "1 ok, 2a left out, 2b left out, 2c left out, 3 not ok"},
		{"somebody says yes", Options{Ask: func(s *Step, _ *Block) bool { return s.ID == "2c" }}, "", "1 ok, 2a left out, 2b left out, 2c ok, 3 not ok"},
		{"by hand", Options{Form: ByHand, Steps: []string{"1"}}, "", "1 ok"},
		{"steps that are named run all", Options{Yes: true, Steps: []string{"2b", "2c"}}, "HOLE=bow", "2b ok, 2c ok"},
		{"a condition holds", Options{Yes: true, Steps: []string{"2a"}}, "HOLE=stern", "2a ok"},
		{"dry", Options{Yes: true, DryRun: true}, "", "1 left out, 2a left out, 2b left out, 2c left out, 3 left out"},
		{"undo", Options{Yes: true, Form: Undo}, "HOLE=bow", "2b ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.o.Form == "" {
				c.o.Form = OneCommand
			}
			dir := t.TempDir()
			results, err := Run(context.Background(), parse(t), NewShell(dir, []string{"FILE=" + dir + "/wet", c.env}, nil), c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := shorthand(results); got != c.want {
				t.Errorf("Run = %s, want %s\n%+v", got, c.want, results)
			}
			for _, r := range results {
				if r.Step == "2b" && r.Ran && c.o.Form == OneCommand && r.Undo != "FILE="+dir+"/wet HOLE=bow sentinel runbook run leak-in-the-boat --step 2b --undo" {
					t.Errorf("undo = %q", r.Undo)
				}
			}
		})
	}
}

func TestFailedChangeEndsTheRun(t *testing.T) {
	p := parse(t)
	p.Step("2b").Blocks[0].Script = "echo loud\n"
	results, err := Run(context.Background(), p, NewShell(t.TempDir(), []string{"FILE=/dev/null"}, nil), Options{Form: OneCommand, Yes: true, Steps: []string{"2b", "2c"}, effect: 1})
	if got, want := shorthand(results), "2b not ok"; got != want || err != nil {
		t.Errorf("Run = %s, %v, want %s", got, err, want)
	}
	if want := []string{"prints nothing", text(`~cat "$FILE"~ prints ~bow~`)}; len(results) != 1 || !slices.Equal(results[0].Misses, want) {
		t.Errorf("misses = %q, want %q", results[0].Misses, want)
	}
}

func TestShell(t *testing.T) {
	sh := NewShell(t.TempDir(), nil, nil)
	for _, c := range []struct {
		block, want string
		code        int
	}{
		{"A='x y'\nB=2; false", "", 1},
		{`echo "$A $B"; exit 4`, "x y 2\n", 4},
		{"cat; echo err >&2", "err\n", 0},
		{"diff <(echo a) <(echo b) >/dev/null || echo differ", "differ\n", 0},
		{"cat <<'EOF'\n$A\nEOF", "$A\n", 0},
	} {
		var out bytes.Buffer
		if code, err := sh.Run(context.Background(), c.block, &out); code != c.code || out.String() != c.want || err != nil {
			t.Errorf("Run(%q) = %d, %v, printed %q, want %d and %q", c.block, code, err, out.String(), c.code, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := sh.Run(ctx, "sleep 60", &bytes.Buffer{}); err == nil {
		t.Error("a block that was cut short is no error")
	}
}
