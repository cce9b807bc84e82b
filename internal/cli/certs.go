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

func (a *app) certsCommand() *cobra.Command {
	var warn string
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "Show the certificates in use on both sides and how long they last",
		Long: `Show the certificates that the running sentinel uses: those that listeners show to clients,
with the chains behind them, those that upstreams are shown, and the authorities that are
believed on either side. DAYS are whole days left. With --warn the exit code says whether
all last that long.
Exit code 1: with --warn, one ends before that or peers don't believe it, 3: no sentinel is
running.`,
		Example: "  sentinel certs\n  sentinel certs --warn 30d || mail -s 'certificates' root\n  sentinel certs --json | jq '.[] | select(.days_left < 14) | .file'",
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			within, err := lead(warn)
			if err != nil {
				return err
			}
			list, err := a.client(askTimeout).Certificates(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(list)
			} else {
				err = printCertificates(a.out, list)
			}
			if err == nil && warn != "" {
				err = warnOf(a.err, list, within, time.Now())
			}
			return err
		},
	}
	cmd.Flags().StringVar(&warn, "warn", "", "exit with 1 when a certificate ends within `TIME`, such as 30d or 12h")
	a.socketFlagOn(cmd)
	return cmd
}

// leadMax bounds --warn: more than that no certificate lasts.
const leadMax = 36500

// lead reads a time that may be in days.
func lead(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= leadMax {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return d, nil
	}
	return 0, usagef("--warn %q is no time: write days as 30d, or hours as 12h", text)
}

// printCertificates writes a line for each certificate.
func printCertificates(w io.Writer, list []admin.Certificate) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No certificate is in use.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SIDE\tNAME\tROLE\tDAYS\tUNTIL\tFOR\tISSUER\tFILE\tPROBLEM")
	for i := range list {
		c := &list[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", c.Side, c.Name, c.Role, c.DaysLeft, clock(c.NotAfter),
			orDash(oneLine(namesInShort(c))), orDash(oneLine(c.Issuer)), oneLine(c.File), orDash(c.Problem))
	}
	return t.Flush()
}

// namesShown is how many names of a certificate a line has room for.
const namesShown = 3

func namesInShort(c *admin.Certificate) string {
	if len(c.Names) == 0 {
		return c.Subject
	}
	text := strings.Join(c.Names[:min(len(c.Names), namesShown)], " ")
	if more := len(c.Names) - namesShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if c.Default {
		text += " (default)"
	}
	return text
}

// warnOf tells of certificates that end within the time, or that peers don't believe.
func warnOf(w io.Writer, list []admin.Certificate, within time.Duration, now time.Time) error {
	found := false
	for i := range list {
		c := &list[i]
		switch {
		case c.Problem != "":
			fmt.Fprintf(w, "sentinel: %s of %s %s, %s: %s\n", c.Role, c.Side, c.Name, oneLine(c.File), c.Problem)
		case c.NotAfter.Sub(now) <= within:
			fmt.Fprintf(w, "sentinel: %s of %s %s, %s: until %s, %d days left\n", c.Role, c.Side, c.Name, oneLine(c.File), clock(c.NotAfter), c.DaysLeft)
		default:
			continue
		}
		found = true
	}
	if found {
		return errReported
	}
	return nil
}
