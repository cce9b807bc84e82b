package lifecycle

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// deadPID returns the id of a process that has ended.
func deadPID(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// livePID returns the id of a process that runs until the test ends: this test again
// when same is true, else another program.
func livePID(t *testing.T, same bool) int {
	t.Helper()
	cmd := exec.Command("cat")
	if same {
		cmd = exec.Command(os.Args[0], "-test.run=^TestWaitForInput$")
		cmd.Env = append(os.Environ(), "LIFECYCLE_TEST_CHILD=1")
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return cmd.Process.Pid
}

// TestWaitForInput is what livePID runs.
func TestWaitForInput(t *testing.T) {
	if os.Getenv("LIFECYCLE_TEST_CHILD") != "" {
		os.Stdin.Read(make([]byte, 1))
	}
}

func TestClaimPID(t *testing.T) {
	for _, c := range []struct {
		name, content string
		refused       bool
	}{
		{"absent", "", false},
		{"dead process", strconv.Itoa(deadPID(t)) + "\n", false},
		{"live process of this program", strconv.Itoa(livePID(t, true)) + "\n", true},
		{"live process of another program", strconv.Itoa(livePID(t, false)) + "\n", false},
		{"our own from before", strconv.Itoa(os.Getpid()), false},
		{"no number", "sentinel\n", false},
		{"negative", "-1\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run", "sentinel.pid")
			if c.content != "" {
				os.MkdirAll(filepath.Dir(path), 0o755)
				os.WriteFile(path, []byte(c.content), 0o644)
			}
			f, err := claimPID(path, 0)
			if got := err != nil; got != c.refused {
				t.Fatalf("claimPID = %v, want refused %v", err, c.refused)
			}
			now, _ := os.ReadFile(path)
			if c.refused {
				if !strings.Contains(err.Error(), "which is running") || string(now) != c.content {
					t.Errorf("claimPID = %v and the file holds %q, want it untouched", err, now)
				}
				return
			}
			if want := strconv.Itoa(os.Getpid()) + "\n"; string(now) != want {
				t.Errorf("file holds %q, want %q", now, want)
			}
			f.remove()
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("Stat after remove = %v, want the file gone", err)
			}
		})
	}
}

func TestPIDFileOfAnotherIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sentinel.pid")
	f, err := claimPID(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(path, []byte("1\n"), 0o644)
	f.remove()
	if b, err := os.ReadFile(path); string(b) != "1\n" {
		t.Errorf("the file of another process holds %q, %v, want it kept", b, err)
	}
}

func TestPIDFileThatCannotBeWritten(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	os.WriteFile(blocked, nil, 0o644)
	path := filepath.Join(blocked, "sentinel.pid")
	if _, err := claimPID(path, 0); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("claimPID = %v, want an error that names %s", err, path)
	}
}

func TestPIDFileBehindALink(t *testing.T) {
	dir := t.TempDir()
	link, file := filepath.Join(dir, "sentinel.pid"), filepath.Join(dir, "own", "pid")
	if err := os.Symlink(filepath.Join("own", "pid"), link); err != nil {
		t.Fatal(err)
	}
	f, err := claimPID(link, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, file); got != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("behind the link = %q, want this process", got)
	}
	f.remove()
	if _, err := os.Stat(file); err == nil {
		t.Error("the file behind the link is left")
	}
	if to, err := os.Readlink(link); err != nil || to != "own/pid" {
		t.Errorf("link = %q, %v, want it kept", to, err)
	}
}
