package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

const (
	// emergencyFor is how long an emergency change lasts unless told otherwise.
	emergencyFor = 30 * time.Minute
	// emergencyTimeout bounds a change: the configuration is built anew.
	emergencyTimeout = time.Minute
)

func (a *app) emergencyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "emergency",
		Short: "Change what serves at once and for a while, and undo that",
		Long: `Change what serves at once and for a while. An emergency change is laid over the
configuration: no file is edited, it passes the same checks, survives reloads and restarts
and ends by itself after --for. Each is logged with the reason and with who asked, and shown
by sentinel status and sentinel config show.

Exit code 1: nothing was changed, 3: no sentinel is running.`,
		Example: `  sentinel emergency limits --max-connections 5000 --max-connections-per-client 50
  sentinel emergency rate-limit --requests-per-second 5 --reason "login flood" --dry-run
  sentinel emergency disable-route reports --for 2h
  sentinel emergency list
  sentinel emergency revert 3`,
		Args: a.noSuchCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("sentinel emergency wants a command: limits, rate-limit, timeouts, challenge, disable-route, fallback, drain, ban, list, extend, revert or commit")
		},
	}
	cmd.AddCommand(
		a.emergencyLimits(), a.emergencyRateLimit(), a.emergencyTimeouts(), a.emergencyChallenge(), a.emergencyDisable(), a.emergencyFallback(),
		a.emergencyList(), a.emergencyExtend(), a.emergencyRevert(), a.emergencyCommit(), a.banCommand(), a.drainCommand(emergencyFor),
	)
	return cmd
}

// emergencyFlags are the flags that all emergency changes have.
type emergencyFlags struct {
	lasts                     time.Duration
	reason                    string
	dryRun                    bool
	listener, route, upstream string
}

// on adds the flags to a command, with those of the places where its change may hold.
func (f *emergencyFlags) on(a *app, cmd *cobra.Command, places ...string) {
	flags := cmd.Flags()
	flags.DurationVar(&f.lasts, "for", emergencyFor, "how long: a `DURATION` such as 90s or 12h, at most 24h (default 30m)")
	flags.StringVar(&f.reason, "reason", "", "why: `TEXT` for the log and for colleagues")
	flags.BoolVar(&f.dryRun, "dry-run", false, "change nothing, check it and say what it would have hit in the last minute")
	for _, p := range places {
		into := map[string]*string{"listener": &f.listener, "route": &f.route, "upstream": &f.upstream}[p]
		flags.StringVar(into, p, "", "only for the "+p+" of that `NAME`")
	}
	a.socketFlagOn(cmd)
}

// request returns what the flags ask for.
func (f *emergencyFlags) request(kind string, settings []admin.Setting) (admin.OverrideRequest, error) {
	if f.lasts < time.Second {
		return admin.OverrideRequest{}, usagef("--for %v: at least 1s wanted", f.lasts)
	}
	return admin.OverrideRequest{
		Kind: kind, Listener: f.listener, Route: f.route, Upstream: f.upstream, Settings: settings,
		Seconds: int64(f.lasts.Round(time.Second) / time.Second), Reason: f.reason, DryRun: f.dryRun,
	}, nil
}

// keyValue is the value of a flag that is a key of the configuration, as it was given.
type keyValue struct {
	kind   string // what it is, for the help
	many   bool
	values []string
}

func (v *keyValue) String() string { return strings.Join(v.values, " ") }

// Type says what the flag takes, for its help.
func (v *keyValue) Type() string { return v.kind }

// Set takes a value. The configuration's own checks find out whether it is right.
func (v *keyValue) Set(text string) error {
	if !v.many {
		v.values = nil
	}
	v.values = append(v.values, text)
	return nil
}

// kindWord names what a key takes, in the help of its flag.
func kindWord(k schema.Kind) string {
	switch k {
	case schema.Int:
		return "N"
	case schema.Seconds:
		return "SECONDS"
	case schema.Size:
		return "SIZE"
	case schema.Rate:
		return "BYTES"
	}
	return "WORD"
}

// keysOn adds a flag for each key of a block of the configuration, but for some.
func keysOn(cmd *cobra.Command, block string, skip ...string) {
	for _, k := range schema.Keys() {
		if k.Block == block && k.Kind != schema.Opens && !slices.Contains(skip, k.Name) {
			cmd.Flags().Var(&keyValue{kind: kindWord(k.Kind), many: k.Many}, k.Name, strings.ReplaceAll(k.Doc, "`", "'"))
		}
	}
}

// settingsOf returns the keys of a block that were given as flags.
func settingsOf(cmd *cobra.Command, block string) (list []admin.Setting) {
	for _, k := range schema.Keys() {
		f := cmd.Flags().Lookup(k.Name)
		if k.Block != block || f == nil || !f.Changed {
			continue
		}
		if v, ok := f.Value.(*keyValue); ok {
			for _, text := range v.values {
				list = append(list, admin.Setting{Key: k.Name, Value: text})
			}
		}
	}
	return list
}

func (a *app) emergencyLimits() *cobra.Command {
	var f emergencyFlags
	cmd := &cobra.Command{
		Use:   "limits [--max-connections N] [--max-connections-per-client N] ...",
		Short: "Bound what clients may use",
		Long: `Bound what clients may use, with the keys of a limits block. Of what the configuration says
and of all emergency changes the strictest value holds: limits can only be tightened so.
Where there are too many connections, those that idle end at once.`,
		Example: "  sentinel emergency limits --max-connections 5000 --max-connections-per-client 50",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.emergency(cmd.Context(), &f, admin.OverrideLimits, settingsOf(cmd, "limits"))
		},
	}
	keysOn(cmd, "limits", "mode")
	f.on(a, cmd, "listener")
	return cmd
}

func (a *app) emergencyRateLimit() *cobra.Command {
	var f emergencyFlags
	cmd := &cobra.Command{
		Use:   "rate-limit --requests-per-second N [--key client_ip] [--route R|--listener L]",
		Short: "Bound how often clients may ask",
		Long: `Bound how often clients may ask, with the keys of a rate-limit block. It holds beside all
limits of the configuration, also where listeners and routes have limits of their own.`,
		Example: "  sentinel emergency rate-limit --requests-per-second 5 --route api --for 1h --reason \"scraper\"",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.emergency(cmd.Context(), &f, admin.OverrideRateLimit, settingsOf(cmd, "rate-limit"))
		},
	}
	keysOn(cmd, "rate-limit", "name", "additional")
	f.on(a, cmd, "listener", "route")
	return cmd
}

func (a *app) emergencyTimeouts() *cobra.Command {
	var f emergencyFlags
	cmd := &cobra.Command{
		Use:   "timeouts [--request-secs N] [--read-secs N] ... [--route R|--upstream U|--listener L]",
		Short: "Give requests more time, or less",
		Long: `Give requests more time, or less, with the keys of a timeouts block. It takes the place of
what the configuration says in the same place, be that more or less. What a listener, route or
upstream says of its own holds there all the same, and is named: change it there.`,
		Example: "  sentinel emergency timeouts --request-secs 60 --read-secs 30\n  sentinel emergency timeouts --request-secs 120 --route reports",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.emergency(cmd.Context(), &f, admin.OverrideTimeouts, settingsOf(cmd, "timeouts"))
		},
	}
	keysOn(cmd, "timeouts")
	f.on(a, cmd, "listener", "route", "upstream")
	return cmd
}

func (a *app) emergencyChallenge() *cobra.Command {
	var f emergencyFlags
	var threshold int64
	cmd := &cobra.Command{
		Use:   "challenge enabled|always|shadow|disabled [--threshold 100] [--route R|--listener L]",
		Short: "Ask browsers for a little work first",
		Long: `Ask browsers for a little work before their requests go on: those over the threshold of
requests per minute (enabled), or all (always). Programs can't do it: name the routes of
browsers with --route.`,
		Example:   "  sentinel emergency challenge enabled --threshold 100\n  sentinel emergency challenge always --route login",
		Args:      exactly(1, "enabled, always, shadow or disabled"),
		ValidArgs: []string{"enabled", "always", "shadow", "disabled"},
		RunE: func(cmd *cobra.Command, args []string) error {
			settings := []admin.Setting{{Key: "challenge-mode", Value: args[0]}}
			if cmd.Flags().Changed("threshold") {
				settings = append(settings, admin.Setting{Key: "challenge-threshold", Value: strconv.FormatInt(threshold, 10)})
			}
			return a.emergency(cmd.Context(), &f, admin.OverrideChallenge, settings)
		},
	}
	cmd.Flags().Int64Var(&threshold, "threshold", 0, "requests per minute and client: `N`")
	f.on(a, cmd, "listener", "route")
	return cmd
}

func (a *app) emergencyDisable() *cobra.Command {
	var f emergencyFlags
	var status, retry int64
	cmd := &cobra.Command{
		Use:   "disable-route ROUTE [--status 503] [--retry-after 30s]",
		Short: "Refuse the requests of a route",
		Long: `Refuse the requests of a route, with the fault route_disabled. No other route takes them;
requests in progress are finished.`,
		Example:           "  sentinel emergency disable-route reports --for 2h --reason \"locks the database\"",
		Args:              exactly(1, "ROUTE"),
		ValidArgsFunction: a.completeRoute,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.route = args[0]
			var settings []admin.Setting
			if cmd.Flags().Changed("status") {
				settings = append(settings, admin.Setting{Key: "status", Value: strconv.FormatInt(status, 10)})
			}
			if cmd.Flags().Changed("retry-after") {
				settings = append(settings, admin.Setting{Key: "retry-after-secs", Value: strconv.FormatInt(retry, 10)})
			}
			return a.emergency(cmd.Context(), &f, admin.OverrideDisable, settings)
		},
	}
	cmd.Flags().Int64Var(&status, "status", 503, "status `CODE` of the answer (default 503)")
	cmd.Flags().Int64Var(&retry, "retry-after", 30, "when clients are told to come back: `SECONDS`, 0 tells nothing (default 30)")
	f.on(a, cmd)
	return cmd
}

func (a *app) emergencyFallback() *cobra.Command {
	var f emergencyFlags
	var use bool
	cmd := &cobra.Command{
		Use:   "fallback ROUTE [UPSTREAM] [--use]",
		Short: "Give a route another fallback, or send everything there",
		Long: `Give a route UPSTREAM as its fallback, for requests that its own upstream can't serve. With
--use all its requests go to the fallback, whatever the state of its own upstream.`,
		Example:           "  sentinel emergency fallback api backup-backend\n  sentinel emergency fallback api --use --reason \"bad deploy\"",
		ValidArgsFunction: a.completeRoute,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef("ROUTE and perhaps UPSTREAM wanted, %d given", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.route = args[0]
			var settings []admin.Setting
			if len(args) == 2 {
				settings = append(settings, admin.Setting{Key: "fallback-upstream", Value: args[1]})
			}
			if use {
				settings = append(settings, admin.Setting{Key: "use-fallback", Value: "#true"})
			}
			if len(settings) == 0 {
				return usagef("name an UPSTREAM, or add --use")
			}
			return a.emergency(cmd.Context(), &f, admin.OverrideFallback, settings)
		},
	}
	cmd.Flags().BoolVar(&use, "use", false, "send all requests to the fallback")
	f.on(a, cmd)
	return cmd
}

// completeRoute completes the names of routes.
func (a *app) completeRoute(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	s, err := a.client(askTimeout).Status(cmd.Context())
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range s.Routes {
		names = append(names, s.Routes[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// emergency asks for a change and says what it does.
func (a *app) emergency(ctx context.Context, f *emergencyFlags, kind string, settings []admin.Setting) error {
	q, err := f.request(kind, settings)
	if err != nil {
		return err
	}
	r, err := a.client(emergencyTimeout).Override(ctx, q)
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(r)
	case r.DryRun:
		return a.printDryOverride(&r)
	}
	fmt.Fprintf(a.out, "Override %d holds %s.\n", r.Override.ID, untilWords(r.Override.Until, time.Now()))
	a.printChanges(r.Changes)
	a.printNotes(r.Notes)
	_, err = fmt.Fprintf(a.out, "To undo: %s%s\n", r.Undo, a.whereFlags())
	return err
}

func (a *app) printChanges(changes []string) {
	if len(changes) == 0 {
		fmt.Fprintln(a.out, "  nothing changes for the traffic: what serves is as strict, or the same")
	}
	for _, c := range changes {
		fmt.Fprintln(a.out, " ", c)
	}
}
