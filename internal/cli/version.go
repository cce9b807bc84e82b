package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			v := version()
			if a.json {
				return a.printJSON(v)
			}
			line := fmt.Sprintf("sentinel %s %s %s", v.Version, v.Go, v.Platform)
			if v.Commit != "" {
				line += " " + v.Commit
			}
			_, err := fmt.Fprintln(a.out, line)
			return err
		},
	}
}

// release is the version of a package; the linker sets it.
var release string

// version is what the toolchain has recorded in this binary.
func version() admin.Version {
	v := admin.Version{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	if release != "" {
		v.Version = release
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
