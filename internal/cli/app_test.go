package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sentinel/internal/config/kdl"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"
)

// fakeWork is work that knows a valid and an invalid configuration.
func fakeWork(dir string) work {
	bad := &lifecycle.ConfigError{Kind: "validation error", Lines: []string{"bad.kdl:3:5: error: unknown key"}, Report: "bad.kdl:3:5: error: unknown key\n  3 | x\n"}
	check := func(path string) (summary, error) {
		switch path {
		case "good.kdl":
			return summary{Listeners: 1, Routes: 2, Upstreams: 1, Notes: []string{"two limits merged"}}, nil
		case "bad.kdl":
			return summary{}, bad
		}
		return summary{}, errors.New("no such file")
	}
	return work{
		run: func(_ context.Context, s lifecycle.Start) error {
			_, err := check(s.ConfigFile)
			return err
		},
		check: check,
		show: func(path string, _ []admin.Override) (string, error) {
			_, err := check(path)
			return "system {\n}\n", err
		},
		overridesBy: func(string) ([]admin.Override, error) { return nil, nil },
		diff: func(before, after texts) ([]string, error) {
			if before.path == after.path {
				return nil, nil
			}
			return []string{"route \"a\" is new"}, nil
		},
		format: func(_ string, text []byte, v kdl.Version) ([]byte, error) {
			if bytes.Contains(text, []byte("{")) {
				return nil, bad
			}
			return append(bytes.TrimSpace(text), '\n'), nil
		},
		adminSocket: func(string) string { return filepath.Join(dir, "admin.sock") },
		auditFile:   func(string) string { return filepath.Join(dir, "audit.log") },
	}
}

// call runs a command line against fakeWork.
func call(t *testing.T, stdin string, env map[string]string, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	a := &app{work: fakeWork(t.TempDir()), in: strings.NewReader(stdin), out: &o, err: &e, getenv: func(k string) string { return env[k] }}
	code = a.main(args)
	return code, o.String(), e.String()
}

func TestExitCodesAndMessages(t *testing.T) {
	for _, c := range []struct {
		args     string
		env      map[string]string
		code     int
		out, err string // what each must hold
	}{
		{args: "--config good.kdl", code: 0},
		{args: "-c bad.kdl", code: 1, err: "bad.kdl:3:5"},
		{env: map[string]string{"SENTINEL_CONFIG": "bad.kdl"}, code: 1, err: "validation error"},
		{args: "-c good.kdl", env: map[string]string{"SENTINEL_CONFIG": "bad.kdl"}, code: 0},
		{args: "", code: 1, err: "no such file"}, // the default file

		{args: "--validate --config good.kdl", code: 0, out: "good.kdl is valid: 1 listener, 2 routes, 1 upstream"},
		{args: "-t -c good.kdl", code: 0, out: "note: two limits merged"},
		{args: "--test -c bad.kdl", code: 1, err: "3 | x"},
		{args: "validate good.kdl", code: 0, out: "is valid"},
		{args: "validate -c bad.kdl", code: 1, err: "validation error"},
		{args: "validate a b", code: 2, err: "one FILE wanted, 2 given"},
		{args: "--validate --config", code: 2, err: "flag needs an argument"},
		{args: "--nonsense", code: 2, err: "unknown flag"},
		{args: "validat", code: 2, err: "did you mean validate?"},
		{args: "validate --json bad.kdl", code: 1, out: `"valid": false`},
		{args: "validate --json good.kdl", code: 0, out: `"listeners": 1`},
		{args: "validate --json gone.kdl", code: 1, err: "no such file"},

		{args: "config show good.kdl", code: 0, out: "system {"},
		{args: "config show bad.kdl", code: 1, err: "bad.kdl:3:5"},
		{args: "config show --json good.kdl", code: 0, out: `"text": "system`},
		{args: "config diff a b", code: 0, out: `route "a" is new`},
		{args: "config diff a a", code: 0, out: "Nothing changes."},
		{args: "config diff a a --json", code: 0, out: `"changes": []`},
		{args: "config diff a b c", code: 2, err: "OLD and NEW wanted, 3 given"},
		{args: "config diff a -c a", code: 0, out: "Nothing changes."},
		{args: "config diff 0", code: 2, err: "no number of a kept configuration"},
		{args: "config", code: 2, err: "show, diff, history or migrate"},
		{args: "config shw", code: 2, err: "did you mean show?"},

		{args: "fmt", code: 2, err: "FILE wanted"},
		{args: "fmt --kdl-version 3 -", code: 2, err: "versions 1 and 2"},
		{args: "fmt gone.kdl", code: 1, err: "no such file"},

		{args: "status", code: 3, err: "sentinel isn't running"},
		{args: "reload", code: 3, err: "no admin socket"},
		{args: "status --admin-socket /nowhere/a.sock", code: 3, err: "/nowhere/a.sock"},
		{args: "status now", code: 2, err: "no argument wanted"},

		{args: "version", code: 0, out: "sentinel "},
		{args: "version --json", code: 0, out: `"platform"`},
		{args: "--version", code: 0, out: "sentinel "},
		{args: "--help", code: 0, out: "Exit codes"},
		{args: "completion bash", code: 0, out: "bash completion"},
	} {
		code, out, err := call(t, "", c.env, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(err, c.err) {
			t.Errorf("sentinel %s: exit code %d\nstdout: %s\nstderr: %s\nwant code %d, %q, %q", c.args, code, out, err, c.code, c.out, c.err)
		}
		if c.code != 0 && c.err != "" && out != "" {
			t.Errorf("sentinel %s: an error on standard output: %s", c.args, out)
		}
	}
}

func TestFormatStandardInput(t *testing.T) {
	if code, out, _ := call(t, "  a 1\n\n", nil, "fmt", "-"); code != 0 || out != "a 1\n" {
		t.Errorf("fmt - = %d, %q, want 0 and the formatted text", code, out)
	}
	if code, out, _ := call(t, "  a 1\n", nil, "fmt", "--check", "-"); code != 1 || out != "<stdin>\n" {
		t.Errorf("fmt --check - = %d, %q, want 1 and the name", code, out)
	}
	if code, out, err := call(t, "a {", nil, "fmt", "-"); code != 1 || out != "" || !strings.Contains(err, "bad.kdl:3:5") {
		t.Errorf("fmt - of an invalid text = %d, %q, %q, want 1 and its problems only", code, out, err)
	}
}

func TestFormatFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	untidy, tidy, invalid := write("untidy", " a", 0o640), write("tidy", "a\n", 0o600), write("invalid", "a {", 0o600)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(untidy, link); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(tidy)
	if code, out, _ := call(t, "", nil, "fmt", "--check", untidy, tidy); code != 1 || out != untidy+"\n" {
		t.Errorf("fmt --check = %d, %q, want 1 and the one untidy file", code, out)
	}
	if code, _, err := call(t, "", nil, "fmt", invalid, link, tidy); code != 1 || !strings.Contains(err, "bad.kdl:3:5") {
		t.Errorf("fmt = %d, %q, want 1 for the invalid file", code, err)
	}
	for path, want := range map[string]string{untidy: "a\n", tidy: "a\n", invalid: "a {"} {
		if b, _ := os.ReadFile(path); string(b) != want {
			t.Errorf("%s holds %q, want %q", path, b, want)
		}
	}
	if after, _ := os.Stat(tidy); !os.SameFile(before, after) {
		t.Error("a tidy file was written")
	}
	if info, _ := os.Stat(untidy); info.Mode().Perm() != 0o640 {
		t.Errorf("mode = %v, want 0640 as before", info.Mode())
	}
	if info, _ := os.Lstat(link); info.Mode().Type() != os.ModeSymlink {
		t.Error("the link was replaced by a file")
	}
}

func TestStatusPage(t *testing.T) {
	now := time.Now()
	s := admin.Status{
		Version: "1.0", State: "serving", Ready: true, PID: 42, UptimeSeconds: 7500, ConfigFile: "c.kdl", Generation: 3,
		LastReload:  &admin.Outcome{At: now.Add(-90 * time.Second), Error: "parse error", Details: []string{"c.kdl:1:1: x"}},
		Connections: 5, Limit: 100,
		Listeners: []admin.Listener{{Name: "http", Addresses: []string{"0.0.0.0:8080"}, Connections: 5, Refused: 1}, {Name: "old", Draining: true}},
		Routes:    []admin.Route{{Name: "api", Target: `upstream "a"`, Requests: 10, Errors: 1, RequestsPerSecond: 2.5}},
		Upstreams: []admin.Upstream{{Name: "a", Targets: []admin.Target{{Address: "10.0.0.1:80", Weight: 2, State: "up"}}}},
	}
	var b bytes.Buffer
	if err := printStatus(&b, &s, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"sentinel 1.0 is serving, ready", "pid 42, up 2h 5m", "generation 3", "last reload FAILED 1m 30s ago: parse error", "    c.kdl:1:1: x",
		"connections 5 of 100", "0.0.0.0:8080", "(draining)", `upstream "a"`, "2.5", "10.0.0.1:80",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, b.String())
		}
	}
}

func TestReloadOutcome(t *testing.T) {
	for _, c := range []struct {
		o        admin.Outcome
		err      error
		out, msg string
	}{
		{admin.Outcome{OK: true, Generation: 4, Notes: []string{"n"}}, nil, "note: n\nConfiguration reload succeeded: generation 4", ""},
		{admin.Outcome{Generation: 3, Error: "parse error", Details: []string{"c.kdl:1:1: x"}}, errReported, "", "c.kdl:1:1: x\nsentinel: Configuration reload failed: parse error. Nothing has changed"},
	} {
		var out, errs bytes.Buffer
		a := &app{out: &out, err: &errs}
		if err := a.printOutcome(&c.o, 0); err != c.err || !strings.HasPrefix(out.String(), c.out) || !strings.HasPrefix(errs.String(), c.msg) {
			t.Errorf("printOutcome(%+v) = %v, %q, %q", c.o, err, out.String(), errs.String())
		}
		out.Reset()
		a.json = true
		a.printOutcome(&c.o, 0)
		var back admin.Outcome
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.OK != c.o.OK {
			t.Errorf("JSON outcome %s: %v", out.String(), err)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 41 * time.Second: "41s", 125 * time.Second: "2m 5s", 2*time.Hour + 5*time.Minute: "2h 5m", 76 * time.Hour: "3d 4h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}
