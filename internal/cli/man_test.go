package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestManPages checks that each command has a page that says what the command is for.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if code, out, err := call(t, "", nil, "man", dir); code != 0 || !strings.Contains(out, "manual pages in "+dir) {
		t.Fatalf("man = %d, %q, %q", code, out, err)
	}
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		if c.Name() == "help" || c.Hidden {
			return
		}
		page := filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
		text, err := os.ReadFile(page)
		if err != nil || !strings.Contains(string(text), ".SH NAME") || !strings.Contains(string(text), ".SH SYNOPSIS") {
			t.Errorf("%s is no page about %q: %v", page, c.CommandPath(), err)
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check((&app{work: newWork()}).root())
}
