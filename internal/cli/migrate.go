package cli

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"sentinel/internal/control/statefile"

	"github.com/spf13/cobra"
)

// migrateFlags are the flags of config migrate.
type migrateFlags struct {
	output      string
	part, force bool
}

func (a *app) configMigrateCommand() *cobra.Command {
	var f migrateFlags
	cmd := &cobra.Command{
		Use:   "migrate OLD [-o NEW]",
		Short: "Write a configuration in the spellings of this version",
		Long: `Write a configuration in the spellings of this version: its keys by their names, words as
they are documented, KDL 2, one style. Comments stay, and what the configuration means too,
which is checked. All that was spelled otherwise is told. Older spellings go on being
accepted, so nobody has to.

A NEW that is there already is replaced only with --force. Files that are included want a
call of their own, with --part. Exit code 1: OLD isn't valid, and nothing was written.`,
		Example: "  sentinel config migrate /etc/sentinel/config.kdl -o /tmp/config.kdl",
		Args:    exactly(1, "OLD"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.migrateConfig(args[0], f) },
	}
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "write to the file `NEW` (default: standard output)")
	cmd.Flags().BoolVar(&f.part, "part", false, "OLD is a part of a configuration that others include")
	cmd.Flags().BoolVar(&f.force, "force", false, "replace NEW where it is there already")
	return cmd
}

func (a *app) migrateConfig(old string, f migrateFlags) error {
	info, err := os.Stat(old)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(old)
	if err != nil {
		return err
	}
	m, err := a.migrate(old, text, f.part)
	if err != nil {
		return err
	}
	told := a.err
	if f.output == "" {
		if _, err := a.out.Write(m.Text); err != nil {
			return err
		}
	} else {
		told = a.out
		if _, err := os.Stat(f.output); err == nil && !f.force {
			return fmt.Errorf("%s is there already: name another file, or add --force", f.output)
		}
		if err := statefile.Replace(f.output, m.Text, info.Mode()&fs.ModePerm); err != nil {
			return err
		}
	}
	tellMigration(told, old, f.output, m.Changes, m.Includes)
	return nil
}

func tellMigration(w io.Writer, old, output string, changes, includes []string) {
	for _, c := range changes {
		fmt.Fprintln(w, c)
	}
	for _, i := range includes {
		fmt.Fprintf(w, "note: the files of include %q are as they were: sentinel config migrate --part FILE -o NEW\n", i)
	}
	switch {
	case output == "" && len(changes) == 0:
		fmt.Fprintf(w, "Nothing in %s was spelled otherwise.\n", old)
	case output != "":
		fmt.Fprintf(w, "%s is %s in the spellings of this version: %s. Both mean the same.\n", output, old, count(len(changes), "change"))
	}
}
