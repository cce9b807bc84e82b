package race_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/testkit/race"
)

// TestEnabled asks a test binary of this package that is built with the detector and one
// that isn't.
func TestEnabled(t *testing.T) {
	const variable = "TELL_RACE"
	if os.Getenv(variable) != "" {
		t.Logf("enabled: %v", race.Enabled())
		return
	}
	for _, c := range []struct{ flag, want string }{{"-race=false", "enabled: false"}, {"-race", "enabled: true"}} {
		if _, err := exec.LookPath("gcc"); err != nil && c.flag == "-race" {
			t.Skip("the detector wants a C compiler")
		}
		binary := filepath.Join(t.TempDir(), "test")
		if out, err := exec.Command("go", "test", "-c", c.flag, "-o", binary).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cmd := exec.Command(binary, "-test.v", "-test.run=TestEnabled")
		cmd.Env = append(os.Environ(), variable+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("built with %s: %v\n%s\nwant %q", c.flag, err, out, c.want)
		}
	}
}
