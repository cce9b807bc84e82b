package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the reference page")

// TestReferenceIsCurrent compares docs/reference/cli.md with the commands.
func TestReferenceIsCurrent(t *testing.T) {
	want := reference((&app{}).root())
	path := filepath.Join("..", "..", "docs", "reference", "cli.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale, run go test ./internal/cli -update (-want +got):\n%s", path, diff)
	}
}

// TestEveryCommandIsDocumented looks for commands and flags without a text.
func TestEveryCommandIsDocumented(t *testing.T) {
	walk((&app{}).root(), func(c *cobra.Command) {
		if c.Short == "" || c.Args == nil {
			t.Errorf("%s lacks a short text or a check of its arguments", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s lacks a text", c.CommandPath(), f.Name)
			}
		})
	})
}

func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		walk(sub, f)
	}
}

// reference renders the reference page.
func reference(root *cobra.Command) []byte {
	var b bytes.Buffer
	b.WriteString("# Command line\n\nGenerated from the commands by `go test ./internal/cli -update`; don't edit.\n")
	walk(root, func(c *cobra.Command) {
		fmt.Fprintf(&b, "\n## %s\n\n", c.CommandPath())
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		fmt.Fprintf(&b, "%s\n\n```\n%s\n```\n", text, c.UseLine())
		if c.Example != "" {
			fmt.Fprintf(&b, "\nFor example:\n\n```\n%s\n```\n", unindent(c.Example))
		}
		writeFlags(&b, c)
	})
	return b.Bytes()
}

func writeFlags(b *bytes.Buffer, c *cobra.Command) {
	flags := c.NonInheritedFlags()
	if !flags.HasAvailableFlags() {
		return
	}
	b.WriteString("\n| flag | meaning |\n|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		name := "`--" + f.Name
		value, usage := pflag.UnquoteUsage(f)
		if value != "" {
			name += " " + value
		}
		name += "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "` " + name
		}
		fmt.Fprintf(b, "| %s | %s |\n", name, strings.ReplaceAll(usage, "|", "\\|"))
	})
}

func unindent(s string) string { return strings.ReplaceAll(strings.TrimPrefix(s, "  "), "\n  ", "\n") }
