package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

// banFor is how long a ban lasts unless told otherwise.
const banFor = 30 * time.Minute

// banFlags are the flags of ban.
type banFlags struct {
	lasts            time.Duration
	reason           string
	permanent, force bool
	shadow           bool
}

func (a *app) banCommand() *cobra.Command {
	var f banFlags
	cmd := &cobra.Command{
		Use:   "ban ADDRESS|PREFIX... [--for 30m] [--reason R] [--permanent] [--shadow] [--force]",
		Short: "Keep clients out for a while",
		Long: `Keep clients out for a while: their new connections are reset, those that are open end,
idle ones at once and others with the answer in hand, after 30 s at the latest. Behind trusted
proxies it holds for the client that these name: its requests are answered 403. It
survives reloads and restarts and ends by itself. Banning again replaces the ban there is.

What would lock you out or break the service is refused: the loopback, targets of upstreams,
trusted proxies, the address from which you are logged in (SSH_CONNECTION), a prefix that
holds one of these, and everybody. --force bans them all the same.

--shadow keeps nobody out: it counts the connections and requests that would be refused, in
'sentinel bans' and sentinel_shadowed_total, and the access log marks the requests with
would_refuse="client_banned". Banning again without it makes the ban real. A ban that holds
isn't turned into a shadow.

Exit code 1: nothing was banned, 3: no sentinel is running.`,
		Example: `  sentinel ban 192.0.2.0/24 --for 30m --reason "login flood"
  sentinel ban 192.0.2.7 2001:db8:7::/64
  sentinel ban 198.51.100.7 --permanent --reason "abuse, case 4711"`,
		Args: atLeastOne("ADDRESS or PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd.Flags().Changed("for")); err != nil {
				return err
			}
			return a.ban(cmd.Context(), args, &f)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.lasts, "for", banFor, "how long: a `DURATION` such as 90s or 12h; 0 wants --permanent (default 30m)")
	flags.StringVar(&f.reason, "reason", "", "why: `TEXT` for the log and for colleagues")
	flags.BoolVar(&f.permanent, "permanent", false, "until it is lifted")
	flags.BoolVar(&f.shadow, "shadow", false, "keep nobody out and count who would be")
	flags.BoolVar(&f.force, "force", false, "ban also what is protected")
	a.socketFlagOn(cmd)
	return cmd
}

func atLeastOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s wanted, none given", what)
		}
		return nil
	}
}

// check refuses what isn't clear about the time; given says that --for was.
func (f *banFlags) check(given bool) error {
	switch {
	case given && f.lasts == 0 && !f.permanent:
		return usagef("--for 0 bans until the ban is lifted: add --permanent if you mean that")
	case given && f.lasts != 0 && f.permanent:
		return usagef("--for %v and --permanent contradict each other", f.lasts)
	case !f.permanent && f.lasts < time.Second:
		return usagef("--for %v: at least 1s wanted", f.lasts)
	}
	return nil
}

func (a *app) ban(ctx context.Context, prefixes []string, f *banFlags) error {
	q := admin.BanRequest{Prefixes: prefixes, Permanent: f.permanent, Force: f.force, Shadow: f.shadow, Reason: f.reason, Session: a.session()}
	if !f.permanent {
		q.Seconds = int64(f.lasts.Round(time.Second) / time.Second)
	}
	r, err := a.client(askTimeout).Ban(ctx, q)
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(r)
	}
	undo := "sentinel unban"
	for i := range r.Bans {
		b := &r.Bans[i]
		verb := "is banned"
		if b.Shadow {
			verb = "would be banned, and is counted,"
		}
		fmt.Fprintf(a.out, "%s %s %s.\n", b.Prefix, verb, untilWords(b.Until, time.Now()))
		undo += " " + b.Prefix
	}
	if f.shadow {
		fmt.Fprintln(a.out, "Nobody is kept out; see sentinel bans for what would have been refused.")
	} else {
		fmt.Fprintf(a.out, "%s of theirs ended, or end with the answer in hand.\n", count(r.Connections, "connection"))
	}
	a.printNotes(r.Notes)
	_, err = fmt.Fprintf(a.out, "To undo: %s%s\n", undo, a.whereFlags())
	return err
}

func (a *app) printNotes(notes []string) {
	for _, note := range notes {
		fmt.Fprintln(a.out, "note:", note)
	}
}

// untilWords says until when a ban lasts.
func untilWords(until, now time.Time) string {
	if until.IsZero() {
		return "until it is lifted"
	}
	return fmt.Sprintf("for %s, until %s", span(until.Sub(now).Round(time.Second)), until.Local().Format("2006-01-02 15:04:05 MST"))
}

// sessionVariables name the client of an SSH login (ssh(1)).
var sessionVariables = []string{"SSH_CONNECTION", "SSH_CLIENT"}

// ancestorsMax bounds the search for a login among the ancestors of the process.
const ancestorsMax = 32

// session returns the addresses from which the operator is logged in: by the environment, and
// by that of the processes above this one, for sudo hides it.
func (a *app) session() []string {
	var list []string
	add := func(value string) {
		client, _, _ := strings.Cut(value, " ")
		if client != "" && !slices.Contains(list, client) {
			list = append(list, client)
		}
	}
	for _, name := range sessionVariables {
		add(a.getenv(name))
	}
	for pid, n := os.Getppid(), 0; pid > 1 && n < ancestorsMax; pid, n = parentOf(pid), n+1 {
		environment, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // not allowed: not known
		for variable := range strings.SplitSeq(string(environment), "\x00") {
			if name, value, ok := strings.Cut(variable, "="); ok && slices.Contains(sessionVariables, name) {
				add(value)
			}
		}
	}
	return list
}

// parentOf returns the parent of a process, 0 when it isn't known (proc_pid_stat(5)).
func parentOf(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	stat := string(text)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // the name may hold anything
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}
