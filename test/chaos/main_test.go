// Package chaos runs the built program in front of three origins that are killed, frozen,
// slowed, made to lie and restarted, one at a time, under a steady load and with reloads
// going on all along, and asks that no client notices. In the end all three die at once and
// come back.
//
//	load (2,000 requests/s, open loop) ──> sentinel ──> origin 0, 1, 2 (this binary again)
//	                                          ^             ^
//	                          reloads ────────┘             └──── one fault at a time
//
// It takes minutes and runs only when asked to: see chaosVariable.
package chaos

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

func TestMain(m *testing.M) {
	if setting := os.Getenv(originVariable); setting != "" {
		os.Exit(runOrigin(setting))
	}
	if os.Getenv(chaosVariable) == "" {
		os.Exit(m.Run())
	}
	os.Exit(program.Main(m, &programs, program.Sentinel()))
}
