package cli

import (
	"context"
	"strings"

	"sentinel/internal/control/lifecycle"

	"github.com/spf13/cobra"
)

// root is the command "sentinel" with all others below it.
func (a *app) root() *cobra.Command {
	var validate, lastGood bool
	cmd := &cobra.Command{
		Use:   "sentinel",
		Short: "A reverse proxy configured in KDL",
		Long: `Sentinel is a reverse proxy configured in KDL. Without a command it runs in the
foreground until it gets SIGTERM or SIGINT.

Signals: HUP reloads the configuration, all or nothing. TERM and INT drain and exit, a
second one exits without waiting. USR1 opens the log files anew. USR2 replaces the process
by the binary that is installed now, without a gap.

A start with a broken file is refused. With --fallback-last-good the configuration that
served last serves in its place, which status, log and metrics tell; HUP loads the file
once it is mended.

Exit codes: 0 all is well, 1 the configuration or the work at hand has a problem, 2 the
command was called in the wrong way, 3 no running sentinel was reached.`,
		Example: `  sentinel --config /etc/sentinel/config.kdl
  sentinel --validate --config /etc/sentinel/config.kdl`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          a.noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if validate {
				return a.validate(a.configFile())
			}
			return a.run(context.Background(), lifecycle.Start{ConfigFile: a.configFile(), Version: version(), FallbackLastGood: lastGood})
		},
	}
	flags := cmd.PersistentFlags()
	flags.StringVarP(&a.configFlag, "config", "c", "", "configuration `FILE` (default $SENTINEL_CONFIG, then "+defaultConfig+")")
	flags.BoolVar(&a.json, "json", false, "print JSON")
	a.remoteFlagsOn(cmd)
	own := cmd.Flags()
	own.BoolVar(&validate, "validate", false, "check the configuration and exit")
	own.BoolVarP(&validate, "test", "t", false, "the same as --validate")
	own.BoolVar(&lastGood, "fallback-last-good", false, "start with the last known good configuration when the file is broken")
	own.BoolP("version", "V", false, "print the version and exit")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.Version = version().Version
	cmd.SetVersionTemplate("sentinel {{.Version}}\n")
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(
		a.validateCommand(), a.fmtCommand(), a.configCommand(), a.reloadCommand(), a.confirmCommand(), a.rollbackCommand(),
		a.statusCommand(), a.upstreamsCommand(), a.eventsCommand(), a.certsCommand(), a.topCommand(), a.whatIfCommand(),
		a.drainCommand(0), a.banCommand(), a.unbanCommand(), a.bansCommand(),
		a.incidentCommand(),
		a.upgradeCommand(),
		a.auditCommand(),
		a.diagnoseCommand(),
		a.runbookCommand(),
		a.versionCommand(), a.completionCommand(), a.manCommand(),
	)
	cmd.AddCommand(a.emergencyCommand())
	cmd.AddCommand(a.seeingCommands()...)
	return cmd
}

// noSuchCommand refuses arguments of a command that has only subcommands.
func (a *app) noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	err := "there is no command " + strings.TrimSpace(cmd.CommandPath()+" "+args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s", err)
}
