// Package runbook goes through docs/runbook.md: every command of every procedure, in both
// forms, against a live Sentinel that is in the trouble that the procedure is for, on a
// machine of its own with a real systemd and journal. See internal/testkit/machine for what
// that needs; where it can't be had the tests are skipped.
package runbook

import (
	"os"
	"path/filepath"
	"testing"

	"sentinel/internal/testkit/program"
)

// programs is the folder of the program under test, built once by TestMain.
var programs string

// binary returns the path of the program under test.
func binary() string { return filepath.Join(programs, "sentinel") }

func TestMain(m *testing.M) { os.Exit(program.Main(m, &programs, program.Sentinel())) }
