package runbook

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/docs"
	"sentinel/internal/ops/runbook"
	"sentinel/internal/testkit/machine"
)

// editor is what the operator of a test edits with.
const editor = "/usr/local/bin/edit-as-told"

// scenario is a trouble and what is done about it.
type scenario struct {
	name      string
	procedure string
	plant     func(*site) // makes the trouble
	flags     string      // of sentinel runbook run
	env       string      // NAME=value before it
	edit      string      // what the editor runs with the file as $1
	unmet     []string    // steps that find something else than the procedure expects
	undo      bool        // undo all that was run behind it
	then      func(*site) // looks at what has become of the trouble
	page      bool        // the time from page to mitigation is measured: less than a minute
}

// covered are the blocks that have run and done what the page says, by line.
type covered struct {
	mu    sync.Mutex
	lines map[int]bool
}

// TestRunbook goes through the page.
func TestRunbook(t *testing.T) {
	t.Parallel()
	all, err := runbook.Parse(docs.Runbook)
	if err != nil {
		t.Fatal(err)
	}
	done := &covered{lines: make(map[int]bool)}
	var groups [3][]scenario
	for i, s := range slices.Concat(scenarios()) {
		groups[i%len(groups)] = append(groups[i%len(groups)], s)
	}
	skipped := true
	t.Run("machines", func(t *testing.T) {
		for i, group := range groups {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				skipped = false
				for _, c := range group {
					s.scenario(t, done, c)
				}
			})
		}
	})
	if skipped || t.Failed() || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // not all of it has run
	}
	for i := range all {
		for j := range all[i].Steps {
			for _, b := range all[i].Steps[j].Blocks {
				if !done.lines[b.Line] {
					t.Errorf("docs/runbook.md:%d: no test runs this (%s, step %s, %s)", b.Line, all[i].Name, all[i].Steps[j].ID, b.Form)
				}
			}
		}
	}
}

// scenario makes a trouble, goes through its procedure and heals the site.
func (s *site) scenario(t *testing.T, done *covered, c scenario) {
	ok := t.Run(c.name, func(t *testing.T) {
		defer func(outer *testing.T) { s.t = outer }(s.t)
		s.t = t
		begin := time.Now()
		if c.plant != nil {
			c.plant(s)
		}
		s.Write(editor, "#!/bin/sh\nset -e\n"+c.edit+"\n", 0o755)
		planted := time.Now()
		got := s.procedure(c, "--yes")
		took := time.Since(planted)
		s.judge(done, c, got)
		if c.then != nil {
			c.then(s)
		}
		if c.undo {
			s.takeBack(done, c.procedure, got)
		}
		if c.page {
			t.Logf("%s: from page to mitigation %.1f s", c.name, took.Seconds())
			if took > time.Minute {
				t.Errorf("from page to mitigation %v, want less than a minute", took)
			}
		}
		s.recover()
		t.Logf("planted in %.1f s, run in %.1f s, healed in %.1f s", planted.Sub(begin).Seconds(), took.Seconds(), time.Since(planted.Add(took)).Seconds())
	})
	_ = ok
}

// procedure has the program in the machine run a procedure.
func (s *site) procedure(c scenario, flags string) []runbook.Result {
	s.t.Helper()
	s.Run("journalctl", "--sync")
	return s.results(fmt.Sprintf("%s EDITOR=%s sentinel runbook run %s %s %s", c.env, editor, c.procedure, c.flags, flags))
}

// takeBack undoes what a run has changed, the last change first.
func (s *site) takeBack(done *covered, procedure string, run []runbook.Result) {
	s.t.Helper()
	for _, r := range slices.Backward(run) {
		if r.Undo != "" {
			s.judge(done, scenario{procedure: procedure}, s.results(r.Undo+" --yes"))
		}
	}
}

// results has the machine run a line of sentinel runbook run.
func (s *site) results(line string) []runbook.Result {
	s.t.Helper()
	line += " --json"
	out := s.Shell(line)
	var answer struct {
		Steps  []runbook.Result `json:"steps"`
		Record string           `json:"record"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		s.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	if answer.Record == "" {
		s.t.Errorf("%s isn't recorded", line)
	}
	return answer.Steps
}

// judge compares what steps did with what the page expects.
func (s *site) judge(done *covered, c scenario, results []runbook.Result) {
	s.t.Helper()
	done.mu.Lock()
	defer done.mu.Unlock()
	ran := 0
	for i := range results {
		r := &results[i]
		if !r.Ran {
			continue
		}
		ran++
		if r.Seconds > 3 {
			s.t.Logf("step %s took %.1f s", r.Step, r.Seconds)
		}
		if r.AsExpected {
			done.lines[r.Line] = true
		}
		if want := !slices.Contains(c.unmet, r.Step); r.AsExpected != want {
			s.t.Errorf("%s, step %s (%s), docs/runbook.md:%d: as expected = %v, want %v\n%sexit code %d, printed:\n%s\nmissing: %s",
				c.procedure, r.Step, r.Form, r.Line, r.AsExpected, want, r.Script, r.Code, clip(r.Output), strings.Join(r.Misses, "; "))
		}
	}
	if ran == 0 {
		s.t.Errorf("%s: nothing ran: %+v", c.procedure, results)
	}
}

func clip(text string) string {
	if len(text) > 4000 {
		return text[:2000] + "\n...\n" + text[len(text)-2000:]
	}
	return text
}

// restore is an edit that puts back the configuration of the site.
func (s *site) restore() { s.Write(machine.Config, config, 0o644) }

// load has a client send requests for a path, some 50 a second, until the site recovers.
func (s *site) load(client, path string) {
	s.t.Helper()
	s.unit("load", client, `while :; do curl -s -m 10 -o /dev/null --interface %s 'http://198.51.100.1:8080%s?[1-10]'; sleep 0.2; done`, client, path)
}

// hold has a client send n requests at once, and waits until their connections are open.
func (s *site) hold(client, path string, n int) {
	s.t.Helper()
	s.unit("hold", client, `for i in $(seq %d); do curl -s -m 60 -o /dev/null --interface %s 'http://198.51.100.1:8080%s' & done; wait`, n, client, path)
	s.Await(fmt.Sprintf(`[ "$(ss -Htn state established src 198.51.100.1 dst %s | wc -l)" -ge %d ]`, client, n))
}

// unit runs a line of shell beside the test, until the site recovers.
func (s *site) unit(kind, client, line string, args ...any) {
	s.t.Helper()
	unit := kind + "-" + strings.ReplaceAll(client, ".", "-") + ".service"
	s.loads = append(s.loads, unit)
	s.Run("systemd-run", "-q", "--unit="+unit, "bash", "-c", fmt.Sprintf(line, args...))
}

// answers waits until requests for a path are answered with a status.
func (s *site) answers(path string, status int) {
	s.t.Helper()
	s.Await(fmt.Sprintf(`[ "$(curl -s -m 5 -o /dev/null -w '%%{http_code}' http://198.51.100.1:8080%s)" = %d ]`, path, status))
}
