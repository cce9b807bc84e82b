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
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sentinel/internal/testkit/race"
)

// binary is the program under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	if setting := os.Getenv(originVariable); setting != "" {
		os.Exit(runOrigin(setting))
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	if os.Getenv(chaosVariable) == "" {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "sentinel-chaos-")
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
