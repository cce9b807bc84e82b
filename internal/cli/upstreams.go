package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

func (a *app) upstreamsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upstreams [NAME]",
		Short: "Show the upstreams and how each target is doing, and why",
		Long: `Show the upstreams of the running sentinel and each of their targets: which take
requests, which don't and why, since when, and what is in progress. With the NAME of an
upstream it shows all that is known of its targets, the breaker, the ejection and the
transcript of the last probe among it. USABLE are the targets that take new requests.
Exit code 1: there is no such upstream, 3: no sentinel is running.`,
		Example:           "  sentinel upstreams\n  sentinel upstreams primary-backend\n  sentinel upstreams --json | jq '.[].targets[] | select(.state != \"healthy\")'",
		Args:              atMost(1, "NAME"),
		ValidArgsFunction: a.completeUpstream,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			list, err := a.client(askTimeout).Upstreams(cmd.Context(), name)
			switch {
			case err != nil:
				return err
			case a.json:
				return a.printJSON(list)
			case name != "":
				return printUpstream(a.out, &list[0], time.Now())
			}
			return printUpstreams(a.out, list, time.Now())
		},
	}
	a.socketFlagOn(cmd)
	return cmd
}

// atMost accepts up to n arguments.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return usagef("at most %d %s wanted, %d given", n, what, len(args))
		}
		return nil
	}
}

// printUpstreams writes the page of all upstreams: a line each, then one for each target.
func printUpstreams(w io.Writer, list []admin.UpstreamStatus, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "The configuration has no upstream.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "UPSTREAM\tBALANCING\tUSABLE\tIN PROGRESS\tPENDING\tFALLBACK\tNOTE")
	for i := range list {
		u := &list[i]
		fmt.Fprintf(t, "%s\t%s\t%d of %d\t%d\t%d\t%s\t%s\n", u.Name, orDash(u.Balancing), u.Usable(), len(u.Targets), u.InProgress, u.Pending,
			orDash(strings.Join(u.Fallback, " ")), orDash(strings.Join(upstreamNotes(u), "; ")))
	}
	fmt.Fprintln(t, "\nUPSTREAM\tTARGET\tSTATE\tFOR\tWEIGHT\tIN PROGRESS\tLATENCY\tREQUESTS\tFAILURES\tBREAKER\tWHY")
	for i := range list {
		for j := range list[i].Targets {
			target := &list[i].Targets[j]
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%d\t%d\t%s\t%s\n", list[i].Name, targetName(target), target.State, since(target.Since, now), weight(target),
				target.InProgress, latency(target.LatencyMillis), target.Requests, target.Failures, orDash(target.Breaker.State), orDash(oneLine(why(target))))
		}
	}
	return t.Flush()
}

// upstreamNotes says what isn't as usual with an upstream.
func upstreamNotes(u *admin.UpstreamStatus) []string {
	var notes []string
	switch {
	case u.Drained && u.InProgress+u.Pending > 0:
		notes = append(notes, "draining")
	case u.Drained:
		notes = append(notes, "drained")
	case u.Panic:
		notes = append(notes, "PANIC: too few targets are healthy, all are used")
	case u.Usable() == 0:
		notes = append(notes, "NO USABLE TARGET")
	}
	return notes
}

// why says why a target is as it is: the cause of its state, and of its breaker's when
// that isn't closed.
func why(t *admin.TargetStatus) string {
	var all []string
	if t.Cause != "" {
		all = append(all, t.Cause)
	}
	if b := t.Breaker; b.Cause != "" && b.State != admin.BreakerClosed && b.Cause != t.Cause {
		all = append(all, "breaker: "+b.Cause)
	}
	return strings.Join(all, "; ")
}

// targetName is the address of a target, with what it is resolved to.
func targetName(t *admin.TargetStatus) string {
	if t.Resolved == "" || t.Resolved == t.Address {
		return t.Address
	}
	return t.Address + " (" + t.Resolved + ")"
}

func weight(t *admin.TargetStatus) string {
	if t.EffectiveWeight == t.Weight {
		return strconv.Itoa(t.Weight)
	}
	return fmt.Sprintf("%d of %d", t.EffectiveWeight, t.Weight)
}

func latency(millis float64) string {
	if millis <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fms", millis)
}

func since(at, now time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return span(now.Sub(at))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneLine escapes what would end a line or steer a terminal: texts of upstreams can hold it.
func oneLine(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		quoted := strconv.Quote(s)
		return quoted[1 : len(quoted)-1]
	}
	return s
}
