package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sentinel/internal/observe/event"

	"github.com/spf13/cobra"
)

// eventFilter is what the flags of events leave.
type eventFilter struct {
	after    time.Time // zero for all
	kinds    []string  // empty for all
	upstream string    // empty for all
	severity string    // the least that is shown; empty for all
}

func (f *eventFilter) shows(e *event.Event) bool {
	return !e.Time.Before(f.after) && (len(f.kinds) == 0 || slices.Contains(f.kinds, e.Kind)) && (f.upstream == "" || e.Upstream == f.upstream) &&
		e.Severity.AtLeast(event.Severity(f.severity))
}

func (f *eventFilter) check() error {
	for _, k := range f.kinds {
		if !slices.Contains(event.Kinds(), k) {
			return usagef("there is no kind %q of events: there are %s", k, strings.Join(event.Kinds(), ", "))
		}
	}
	if f.severity != "" && !slices.Contains(event.Severities(), event.Severity(f.severity)) {
		return usagef("there is no severity %q: there are info, warning, critical", f.severity)
	}
	return nil
}

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	var ago time.Duration
	var f eventFilter
	cmd := &cobra.Command{
		Use:   "events [--follow] [--since 10m] [--severity S] [--kind K] [--upstream U]",
		Short: "Show what has changed: health, breakers, failover, drains",
		Long: `Show what has changed about upstreams and the running sentinel, with the cause, a line
each in the form of the log. The process keeps the last few thousand changes since its
start, those too that were left out of the log because too many came at once. --follow
goes on with each change as it comes, from now on unless --since says from when.
--severity warning leaves out what isn't worse than before, --severity critical leaves what
makes requests fail, or soon will. --json prints one JSON object a line. Exit code 3: no sentinel is running any more.

Kinds: ` + strings.Join(event.Kinds(), ", ") + `.`,
		Example: `  sentinel events --since 10m
  sentinel events --follow --kind health,breaker --upstream primary-backend`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed("since")
			if given {
				f.after = time.Now().Add(-ago)
			}
			if err := f.check(); err != nil {
				return err
			}
			if follow {
				return a.followEvents(cmd, &f, !given)
			}
			return a.listEvents(cmd, &f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "go on with each change as it comes")
	flags.DurationVar(&ago, "since", 0, "only changes of the last `DURATION`, such as 10m")
	flags.StringSliceVar(&f.kinds, "kind", nil, "only changes of `KIND`; several with commas")
	flags.StringVar(&f.severity, "severity", "", "only changes that matter as much as `SEVERITY`: info, warning or critical")
	flags.StringVar(&f.upstream, "upstream", "", "only changes of the upstream `NAME`")
	a.socketFlagOn(cmd)
	a.completeFlag(cmd, "kind", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return event.Kinds(), cobra.ShellCompDirectiveNoFileComp
	})
	a.completeFlag(cmd, "upstream", a.completeUpstream)
	return cmd
}

func (a *app) listEvents(cmd *cobra.Command, f *eventFilter) error {
	list, err := a.client(askTimeout).Events(cmd.Context(), 0)
	if err != nil {
		return err
	}
	shown := 0
	for i := range list {
		if f.shows(&list[i]) {
			shown++
			if err := a.printEvent(&list[i]); err != nil {
				return err
			}
		}
	}
	if shown == 0 && !a.json {
		_, err = fmt.Fprintln(a.out, "No such change is known.")
	}
	return err
}

// followEvents prints events as they come; fromNow leaves out those that are there.
func (a *app) followEvents(cmd *cobra.Command, f *eventFilter, fromNow bool) error {
	client, last := a.client(askTimeout), uint64(0)
	if fromNow {
		list, err := client.Events(cmd.Context(), 0)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			last = list[len(list)-1].Seq
		}
	}
	return client.Follow(cmd.Context(), last, func(e event.Event) error {
		if lost := e.Seq - last - 1; last > 0 && lost > 0 {
			fmt.Fprintf(a.err, "sentinel: %s came too fast to be shown\n", count(int(lost), "change"))
		}
		last = e.Seq
		if !f.shows(&e) {
			return nil
		}
		return a.printEvent(&e)
	})
}

func (a *app) printEvent(e *event.Event) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(e)
	}
	_, err := a.out.Write(append(e.AppendText(nil), '\n'))
	return err
}
