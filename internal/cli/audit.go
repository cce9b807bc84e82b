package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

// auditFlags are the flags of audit.
type auditFlags struct {
	n     int
	since time.Duration
}

func (a *app) auditCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit [--number 50] [--since 24h]",
		Short: "Show who has asked for which change, when, from where, and what became of it",
		Long: `Show who has asked the running sentinel for which change, when, from where, and what
became of it, the oldest first: drains, bans, reloads and all else that the admin API does,
reloads by SIGHUP, and what was refused for want of a role. The lines come from audit-file of
the configuration, which is read directly when no sentinel is running. --json prints them as
they are, one JSON object a line.`,
		Example: "  sentinel audit --since 1h\n  sentinel audit --number 1000 --json | jq 'select(.ok == false)'",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.n < 1 || f.n > 10000 {
				return usagef("--number %d: 1 to 10000 wanted", f.n)
			}
			return a.audit(cmd.Context(), &f)
		},
	}
	flags := cmd.Flags()
	flags.IntVarP(&f.n, "number", "n", 50, "how many to show, up to 10000")
	flags.DurationVar(&f.since, "since", 0, "only those of the last `DURATION`, such as 24h")
	a.socketFlagOn(cmd)
	return cmd
}

func (a *app) audit(ctx context.Context, f *auditFlags) error {
	list, err := a.client(askTimeout).Audit(ctx, f.n)
	if _, remote := a.where(); errors.Is(err, admin.ErrNotRunning) && remote.URL == "" && a.socketFlag == "" {
		path := a.auditFile(a.configFile())
		if list, err = admin.ReadAudit(path, f.n); err == nil {
			fmt.Fprintf(a.err, "sentinel: no sentinel is running; this is what %s holds\n", path)
		}
	}
	if err != nil {
		return err
	}
	if f.since > 0 {
		after := time.Now().Add(-f.since)
		for len(list) > 0 && list[0].Time.Before(after) {
			list = list[1:]
		}
	}
	if a.json {
		for i := range list {
			if err := json.NewEncoder(a.out).Encode(&list[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return printAudit(a.out, list)
}

// auditRequestShown bounds how much of a request is shown in a line.
const auditRequestShown = 100

// printAudit writes a line for each record.
func printAudit(w io.Writer, list []admin.AuditRecord) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No change was asked for.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tWHO\tROLE\tFROM\tACTION\tRESULT\tREQUEST")
	for i := range list {
		r := &list[i]
		result := "done"
		if !r.OK {
			result = fmt.Sprintf("%d %s", r.Status, r.Result)
		}
		if r.Left > 0 {
			result += fmt.Sprintf(" (and %d refused before that aren't recorded)", r.Left)
		}
		request := oneLine(string(r.Request))
		if len(request) > auditRequestShown {
			request = request[:auditRequestShown] + "..."
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Time.Local().Format("2006-01-02 15:04:05"), oneLine(who(&r.Actor)),
			orDash(oneLine(r.Actor.Role)), oneLine(from(&r.Actor)), oneLine(r.Action), oneLine(result), orDash(request))
	}
	return t.Flush()
}

// from says from where an actor has asked.
func from(by *admin.Actor) string {
	at := "socket"
	switch {
	case by.From != "":
		at = by.From
	case by.UID < 0:
		return "-"
	}
	if by.Via != "" {
		at += ", " + by.Via
	}
	return at
}
