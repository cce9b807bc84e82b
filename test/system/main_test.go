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

	"sentinel/internal/testkit/program"
)

// programs is the folder of the program under test, built once by TestMain.
var programs string

// binary returns the path of the program under test.
func binary() string { return filepath.Join(programs, "sentinel") }

func TestMain(m *testing.M) {
	if os.Getenv(echoVariable) != "" {
		if err := runEcho(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(program.Main(m, &programs, program.Sentinel()))
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
