package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"sentinel/internal/dataplane/fault"

	"github.com/spf13/cobra"
)

func (a *app) whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why [FAULT]",
		Short: "Say what a fault means, what is behind it, and what to do",
		Long: `Say what a fault means, what is behind it most likely, what to do first and what to type to
look closer. A fault is named as in the metrics and logs (upstream_refused) or by the code
that clients are told (U01). Without a name all faults are listed. It asks no process.`,
		Example: "  sentinel why upstream_refused\n  sentinel why U01\n  sentinel why",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("one fault wanted, got %d", len(args))
			}
			return nil
		},
		ValidArgs: faultLabels(),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listFaults()
			}
			return a.why(args[0])
		},
	}
	return cmd
}

func faultLabels() (list []string) {
	for k := range fault.All() {
		list = append(list, k.String())
	}
	return list
}

// faultRow is a row of the table as it is printed in JSON.
type faultRow struct {
	Label      string   `json:"fault"`
	Code       string   `json:"code"`
	Side       string   `json:"side"`
	Status     int      `json:"status"`
	Text       string   `json:"text"`
	Unsent     bool     `json:"no_byte_reached_an_application"`
	RetryAfter int      `json:"retry_after_seconds,omitempty"`
	Meaning    string   `json:"meaning"`
	Causes     []string `json:"causes"`
	Remedy     string   `json:"remedy"`
	Commands   []string `json:"commands"`
}

func rowOf(k fault.Kind) faultRow {
	r := k.Row()
	return faultRow{r.Label, r.Code, r.Side.String(), r.Status, r.Text, r.Unsent, r.RetryAfter, r.Meaning, r.Causes, r.Remedy, r.Commands}
}

func (a *app) listFaults() error {
	var rows []faultRow
	for k := range fault.All() {
		rows = append(rows, rowOf(k))
	}
	if a.json {
		return a.printJSON(rows)
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FAULT\tCODE\tSIDE\tSTATUS\tMEANING")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", r.Label, r.Code, r.Side, r.Status, r.Meaning)
	}
	return t.Flush()
}

func (a *app) why(name string) error {
	k, ok := parseFault(name)
	if !ok {
		hint := ": sentinel why lists all"
		if near := nearFaults(name); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef("there is no fault %q%s", name, hint)
	}
	if a.json {
		return a.printJSON(rowOf(k))
	}
	return printFaultRow(a.out, k)
}

// parseFault finds a fault by label, code or name, in any letter case, hyphens for underscores.
func parseFault(name string) (fault.Kind, bool) {
	lower := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	for k := range fault.All() {
		r := k.Row()
		if lower == r.Label || lower == strings.ToLower(r.Code) || lower == strings.ToLower(r.Name) {
			return k, true
		}
	}
	return fault.None, false
}

// nearFaults returns labels that share a word with name.
func nearFaults(name string) (list []string) {
	for word := range strings.SplitSeq(strings.ReplaceAll(strings.ToLower(name), "-", "_"), "_") {
		for _, label := range faultLabels() {
			if len(word) > 3 && word != "upstream" && strings.Contains(label, word) && len(list) < 3 {
				list = append(list, label)
			}
		}
	}
	return list
}

func printFaultRow(w io.Writer, k fault.Kind) error {
	r := k.Row()
	fmt.Fprintf(w, "%s (%s): %s\n\n%s\n", r.Label, r.Code, r.Text, r.Meaning)
	fmt.Fprintf(w, "\nwho has to act: %s; %s\n", r.Side, answered(r))
	if r.Side == fault.SideUpstream {
		if r.Unsent {
			fmt.Fprintln(w, "nothing of the request reached an application: another target may have it, whatever its method")
		} else {
			fmt.Fprintln(w, "the application may have seen the request: it is tried again only where its method and the retry policy allow")
		}
	}
	fmt.Fprintln(w, "\nlikely causes, the likeliest first:")
	for _, c := range r.Causes {
		fmt.Fprintf(w, "  - %s\n", c)
	}
	fmt.Fprintf(w, "\ndo: %s\n\nlook closer:\n", r.Remedy)
	for _, c := range append(r.Commands, "sentinel errors --since 15m --all") {
		fmt.Fprintf(w, "  %s\n", c)
	}
	return nil
}

// answered says what the client is told.
func answered(r *fault.Row) string {
	text := fmt.Sprintf("the client gets %d", r.Status)
	if r.Status == 499 {
		text = "the client has gone; the log says 499"
	}
	if r.RetryAfter > 0 {
		text += fmt.Sprintf(" with Retry-After: %d", r.RetryAfter)
	}
	if r.Closes && r.Status != 499 {
		text += " and its connection is closed"
	}
	return text
}
