package lastrun

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// crashVariable has the test binary begin a run in the folder that it names and then end badly.
const crashVariable = "SENTINEL_TEST_CRASH"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashVariable); dir != "" {
		if _, _, err := Begin(dir, Run{Release: "1", ConfigFile: "c.kdl"}); err != nil {
			os.Exit(3)
		}
		if os.Getenv("SENTINEL_TEST_KILL") != "" {
			p, _ := os.FindProcess(os.Getpid())
			p.Kill()
			select {}
		}
		go panic("out of cheese")
		select {}
	}
	os.Exit(m.Run())
}

// end runs this binary until it ends badly.
func end(t *testing.T, dir string, more ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(append(os.Environ(), crashVariable+"="+dir), more...)
	if err := c.Run(); err == nil {
		t.Fatal("the process ended well")
	}
}

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name       string
		env        []string
		how, cause string
	}{
		{"a panic", nil, Crashed, "panic: out of cheese"},
		{"a kill", []string{"SENTINEL_TEST_KILL=1"}, Killed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			end(t, dir, c.env...)
			s, err := Read(dir)
			if err != nil || s.Run == nil || s.Alive || s.End == nil || s.End.How != c.how || s.End.Cause != c.cause {
				t.Fatalf("Read = %+v %+v, %v, want an end %s by %q", s, s.End, err, c.how, c.cause)
			}
			if c.how == Crashed && !strings.Contains(s.End.Detail, "goroutine") {
				t.Errorf("Detail = %q, want a trace", s.End.Detail)
			}
			m, e, err := Begin(dir, Run{})
			if err != nil || e == nil || e.How != c.how || e.Cause != c.cause {
				t.Fatalf("Begin = %+v, %v", e, err)
			}
			if s, _ = Read(dir); !s.Alive || s.End == nil || s.End.How != c.how {
				t.Errorf("Read in the next run = %+v", s)
			}
			m.End()
			if s, _ = Read(dir); s.Run != nil {
				t.Errorf("Read after a good end = %+v, want no run", s)
			}
			if m, e, err = Begin(dir, Run{}); e != nil || err != nil {
				t.Errorf("Begin after a good end = %+v, %v", e, err)
			}
			m.End()
		})
	}
}

func TestStartFailed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if s, err := Read(dir); err != nil || s.End != nil {
		t.Errorf("Read of no folder = %+v, %v", s, err)
	}
	if err := StartFailed(dir, Run{ConfigFile: "c.kdl", Started: time.Now()}, "address in use", "a\nb"); err != nil {
		t.Fatal(err)
	}
	s, err := Read(dir)
	if err != nil || s.End == nil || s.End.How != Unborn || s.End.Cause != "address in use" || !strings.Contains(s.End.String(), "unborn: address in use") {
		t.Errorf("Read = %+v, %v", s.End, err)
	}
}

// TestMarkOfAnother leaves a mark alone that a successor has put there.
func TestMarkOfAnother(t *testing.T) {
	dir := t.TempDir()
	m, _, err := Begin(dir, Run{})
	if err != nil {
		t.Fatal(err)
	}
	if err := write(dir, runFile, &Run{Version: version, PID: os.Getppid(), Ticks: startTicks(os.Getppid()), Boot: bootID()}); err != nil {
		t.Fatal(err)
	}
	m.End()
	if s, _ := Read(dir); s.Run == nil || s.Run.PID != os.Getppid() || !s.Alive {
		t.Errorf("Read = %+v, want the run of the successor", s)
	}
}
