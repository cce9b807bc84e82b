package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man FOLDER",
		Short:   "Write the manual pages into a folder",
		Long:    "Write the manual pages, one for each command, into a folder, which is made.",
		Example: "  sentinel man /usr/local/share/man/man1 && man sentinel-drain",
		Args:    exactly(1, "FOLDER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			built := buildTime()
			header := &doc.GenManHeader{Section: "1", Source: "sentinel " + version().Version, Manual: "Sentinel", Date: &built}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return err
			}
			pages, err := filepath.Glob(filepath.Join(args[0], "sentinel*.1"))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"folder": args[0], "pages": len(pages)})
			}
			_, err = fmt.Fprintf(a.out, "%s in %s\n", count(len(pages), "manual page"), args[0])
			return err
		},
	}
}

// buildTime is the time of the commit that was built: the same sources give the same pages.
func buildTime() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t
			}
		}
	}
	return time.Unix(0, 0).UTC()
}
