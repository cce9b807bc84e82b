package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

// askTimeout bounds a question to the running process, reloadTimeout one for a reload.
const (
	askTimeout    = 5 * time.Second
	reloadTimeout = time.Minute
)

func (a *app) statusCommand() *cobra.Command {
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "status [--since 15m]",
		Short: "Show how the running sentinel is doing",
		Long: `Show how the running sentinel is doing: its state and last reload, listeners with their
open connections, routes with their traffic, upstreams with their targets. Rates are over
the last 10 to 20 seconds. --since shows how things changed instead: what routes and
upstreams did in the last while beside what they did as long before, connections, queues
and memory, and the changes of state; an hour is remembered, in steps of 10 seconds. Exit
code 3: none is running.`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("since") {
				return a.statusSince(cmd.Context(), since)
			}
			s, err := a.client(askTimeout).Status(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			return printStatus(a.out, &s, time.Now())
		},
	}
	cmd.Flags().DurationVar(&since, "since", 0, "show how things changed in the last `DURATION`, up to 1h")
	a.socketFlagOn(cmd)
	return cmd
}

// printStatus writes the page for people.
func printStatus(w io.Writer, s *admin.Status, now time.Time) error {
	ready := "ready"
	if !s.Ready {
		ready = "not ready: " + strings.Join(s.Reasons, ", ")
	}
	fmt.Fprintf(w, "sentinel %s is %s, %s\n", s.Version, s.State, ready)
	fmt.Fprintf(w, "  pid %d, up %s\n", s.PID, span(time.Duration(s.UptimeSeconds*float64(time.Second))))
	fmt.Fprintf(w, "  configuration %s, generation %d%s\n", s.ConfigFile, s.Generation, entryWords(s.Entry))
	printConfigState(w, &s.ConfigState, now)
	printLastReload(w, s.LastReload, now)
	fmt.Fprintf(w, "  metrics at %s\n", s.Metrics)
	fmt.Fprintf(w, "  connections %s\n", ofLimit(s.Connections, s.Limit))

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nLISTENER\tADDRESS\tCONNECTIONS\tREFUSED")
	for _, l := range s.Listeners {
		where := strings.Join(l.Addresses, " ")
		if l.Draining {
			where = "(draining)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", l.Name, where, ofLimit(l.Connections, l.Limit), l.Refused)
	}
	fmt.Fprintln(t, "\nROUTE\tGOES TO\tREQUESTS/S\tERRORS/S\tREQUESTS\tERRORS")
	for _, r := range s.Routes {
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%.1f\t%d\t%d\n", r.Name, r.Target, r.RequestsPerSecond, r.ErrorsPerSecond, r.Requests, r.Errors)
	}
	fmt.Fprintln(t, "\nUPSTREAM\tTARGET\tWEIGHT\tSTATE")
	for _, u := range s.Upstreams {
		for _, target := range u.Targets {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", u.Name, target.Address, target.Weight, target.State)
		}
	}
	if err := t.Flush(); err != nil || len(s.Overrides) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nEMERGENCY CHANGES (sentinel emergency list)")
	return printOverrides(w, s.Overrides, now)
}

// entryWords names the entry of the history that serves.
func entryWords(number int) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf(", number %d of its history", number)
}

// printConfigState says what is out of the ordinary about the configuration.
func printConfigState(w io.Writer, s *admin.ConfigState, now time.Time) {
	if c := s.Confirmation; c != nil {
		fmt.Fprintf(w, "  AWAITS A CONFIRMATION for another %s, then number %d of its history serves again: sentinel confirm\n", span(c.Until.Sub(now)), c.Before)
	}
	if t := s.ComparedUntil; t != nil {
		fmt.Fprintf(w, "  compared with what served before for another %s\n", span(t.Sub(now)))
	}
	if len(s.Regression) > 0 {
		fmt.Fprintln(w, "  REQUESTS FARE WORSE than before the last reload: sentinel rollback")
		for _, line := range s.Regression {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
	if d := s.Deviation; d != nil {
		fmt.Fprintf(w, "  NOT WHAT WAS ASKED FOR since %s ago (%s): %s\n", span(now.Sub(d.At)), d.Cause, d.Why)
		for _, line := range d.Details {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
	if len(s.FilesDiffer) > 0 {
		fmt.Fprintln(w, "  THE FILES DIFFER from what serves:")
		for _, line := range s.FilesDiffer {
			fmt.Fprintf(w, "    %s\n", line)
		}
		load := "sentinel reload"
		if d := s.Deviation; d != nil && d.Cause != admin.DeviationFallback {
			load += " --again"
		}
		fmt.Fprintf(w, "    %s makes the files serve, sentinel rollback --serving puts what serves into them\n", load)
	}
}

func printLastReload(w io.Writer, o *admin.Outcome, now time.Time) {
	if o == nil {
		fmt.Fprintln(w, "  no reload since the start")
		return
	}
	ago := span(now.Sub(o.At)) + " ago"
	if o.OK {
		fmt.Fprintf(w, "  last reload succeeded %s\n", ago)
		return
	}
	fmt.Fprintf(w, "  last reload FAILED %s: %s\n", ago, o.Error)
	for _, line := range o.Details {
		fmt.Fprintf(w, "    %s\n", line)
	}
}

func ofLimit(n, limit int64) string {
	if limit <= 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, limit)
}

// span is a duration to the two units that matter: "3d 4h", "2h 5m", "41s".
func span(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch {
	case s >= 86400:
		return fmt.Sprintf("%dd %dh", s/86400, s%86400/3600)
	case s >= 3600:
		return fmt.Sprintf("%dh %dm", s/3600, s%3600/60)
	case s >= 60:
		return fmt.Sprintf("%dm %ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}
