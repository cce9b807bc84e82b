// Package machine tests what is installed: the unit, the packages and the program, on a
// machine of its own with a real systemd and journal. See internal/testkit/machine for what it
// needs; where that can't be had the tests are skipped.
package machine

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
