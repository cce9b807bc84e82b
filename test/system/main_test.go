// Package system tests the built program from outside: it starts the binary with a
// configuration of its own, talks to it as clients, origins and operators do, and reads
// what it logs and measures.
//
// The tests need curl, wrk and nginx (Debian: curl, wrk, nginx-light). With -short those
// that need one that is missing are skipped; without it they fail.
package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sentinel/internal/testkit/race"
)

// binary is the program under test, built once by TestMain, with the race detector if the
// tests have it. Its name is "sentinel", as installed.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(echoVariable) != "" {
		if err := runEcho(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "sentinel-system-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "sentinel")
	build := exec.Command("go", "build", fmt.Sprintf("-race=%v", race.Enabled()), "-o", binary, "sentinel/cmd/sentinel")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// tool returns the path of a program that a test can't do without.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if path = filepath.Join("/usr/sbin", name); executable(path) {
		return path
	}
	if testing.Short() {
		t.Skipf("%s is missing", name)
	}
	t.Fatalf("%s is missing: install the Debian package %s, or run with -short", name, pkg)
	return ""
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&0o111 != 0
}
