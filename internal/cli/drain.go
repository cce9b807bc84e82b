package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sentinel/internal/control/admin"

	"github.com/spf13/cobra"
)

// waitEvery is how often --wait asks what is left.
const waitEvery = 200 * time.Millisecond

// drainTimeout is how long --wait waits unless told otherwise.
const drainTimeout = 30 * time.Second

// drainFlags are the flags of drain.
type drainFlags struct {
	undo, wait bool
	reason     string
	timeout    time.Duration
	lasts      time.Duration // 0: until it is undone
}

// drainCommand is the command that drains, for as long as lasts unless told otherwise.
func (a *app) drainCommand(lasts time.Duration) *cobra.Command {
	var f drainFlags
	cmd := &cobra.Command{
		Use:   "drain UPSTREAM[/TARGET] [--for 30m] [--undo] [--reason R] [--wait] [--timeout 30s]",
		Short: "Let an upstream or one of its targets take no new requests",
		Long: `Let an upstream, or one of its targets, take no new requests; those in progress are
finished. It holds until it is undone, or for as long as --for says, and survives reloads and
restarts. Draining again with --for gives it another end. TARGET is an address as configured or as
resolved. --wait shows the progress and returns when nothing is left.
What is done is logged with the reason and with who asked.

Exit code 1: there is no such target, or with --wait requests are still in progress after
--timeout (the drain goes on); 3: no sentinel is running.`,
		Example: `  sentinel drain primary-backend/10.0.0.1:8080 --reason "kernel update" --wait
  sentinel drain primary-backend/10.0.0.1:8080 --undo`,
		Args:              exactly(1, "UPSTREAM or UPSTREAM/TARGET"),
		ValidArgsFunction: a.completeTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.undo && cmd.Flags().Changed("for"):
				return usagef("--undo has no end: leave out --for")
			case f.lasts < 0 || f.lasts > 0 && f.lasts < time.Second:
				return usagef("--for %v: at least 1s wanted, or 0 until it is undone", f.lasts)
			case f.undo && f.wait:
				return usagef("--undo has nothing to wait for: leave out --wait")
			case cmd.Flags().Changed("timeout") && !f.wait:
				return usagef("--timeout is for --wait")
			case f.timeout <= 0:
				return usagef("--timeout %v: more than 0 wanted", f.timeout)
			}
			return a.drain(cmd.Context(), args[0], &f)
		},
	}
	flags := cmd.Flags()
	meant := "until it is undone"
	if lasts > 0 {
		meant = span(lasts)
	}
	flags.DurationVar(&f.lasts, "for", lasts, "how long: a `DURATION` such as 90s or 12h; 0 until it is undone (default "+meant+")")
	flags.BoolVar(&f.undo, "undo", false, "let it take requests again")
	flags.StringVar(&f.reason, "reason", "", "why: `TEXT` for the log and for colleagues")
	flags.BoolVar(&f.wait, "wait", false, "wait until no request is in progress")
	flags.DurationVar(&f.timeout, "timeout", drainTimeout, "how long --wait waits: a `DURATION` such as 90s (default 30s)")
	a.socketFlagOn(cmd)
	return cmd
}

// drainAnswer is the answer of drain as JSON. Done is there with --wait.
type drainAnswer struct {
	admin.DrainResult
	Done *bool `json:"done,omitempty"`
}

func (a *app) drain(ctx context.Context, what string, f *drainFlags) error {
	client := a.client(askTimeout)
	known, err := client.Upstreams(ctx, "")
	if err != nil {
		return err
	}
	upstream, target := splitTarget(what, known)
	q := admin.DrainRequest{Upstream: upstream, Target: target, Undo: f.undo, Reason: f.reason}
	if !f.undo {
		q.Seconds = int64(f.lasts.Round(time.Second) / time.Second)
	}
	r, err := client.Drain(ctx, q)
	if err != nil {
		return err
	}
	if !a.json {
		a.printDrain(&r)
	}
	answer := drainAnswer{DrainResult: r}
	var left error
	if f.wait {
		waiter := drainWait{upstream: upstream, target: target, ask: func(ctx context.Context) ([]admin.UpstreamStatus, error) { return client.Upstreams(ctx, "") }}
		waiter.tell = func(n int) { fmt.Fprintln(a.err, count(n, "request")+" in progress") }
		answer.InProgress, left = waiter.until(ctx, f.timeout)
		answer.Done = new(left == nil)
	}
	return a.endDrain(&answer, left)
}

// endDrain says how the wait went and where the undo is.
func (a *app) endDrain(answer *drainAnswer, left error) error {
	if a.json {
		if err := a.printJSON(answer); err != nil {
			return err
		}
	} else if answer.Done != nil && *answer.Done {
		fmt.Fprintln(a.out, "Drained: no request is in progress.")
	}
	if !a.json && (answer.Changed || answer.Drained) {
		fmt.Fprintf(a.out, "To undo: %s%s\n", answer.Undo, a.whereFlags())
	}
	return left
}

func (a *app) printDrain(r *admin.DrainResult) {
	what := fmt.Sprintf("Upstream %q", r.Upstream)
	if r.Target != "" {
		what = fmt.Sprintf("Target %q of upstream %q", r.Target, r.Upstream)
	}
	verb, already := "takes no new requests", ""
	switch {
	case !r.Drained && r.Changed:
		verb = "takes requests again"
	case !r.Drained:
		verb = "takes requests"
	}
	if !r.Changed {
		already = ", as before: nothing has changed"
	}
	if r.Drained && !r.Until.IsZero() {
		verb += " " + untilWords(r.Until, time.Now())
		if !r.Changed {
			already = "; it was drained already"
		}
	}
	fmt.Fprintf(a.out, "%s %s%s.", what, verb, already)
	if r.Drained {
		fmt.Fprintf(a.out, " %s in progress.", count(r.InProgress, "request"))
	}
	fmt.Fprintln(a.out)
	for _, note := range r.Notes {
		fmt.Fprintln(a.out, "note:", note)
	}
}

// splitTarget splits UPSTREAM/TARGET. Names of upstreams may hold slashes, so the longest
// that is known decides; without one it is what stands before the first slash.
func splitTarget(what string, known []admin.UpstreamStatus) (upstream, target string) {
	upstream, target, _ = strings.Cut(what, "/")
	longest := -1
	for i := range known {
		name := known[i].Name
		rest, ok := strings.CutPrefix(what, name)
		if ok && len(name) > longest && (rest == "" || rest[0] == '/') {
			upstream, target, longest = name, strings.TrimPrefix(rest, "/"), len(name)
		}
	}
	return upstream, target
}

// drainWait waits for a drain.
type drainWait struct {
	upstream, target string // target is empty for the whole upstream
	ask              func(context.Context) ([]admin.UpstreamStatus, error)
	tell             func(inProgress int) // each time that the number has changed
}

// errUndone ends a wait for what somebody has undone.
var errUndone = errors.New("the drain was undone meanwhile")

// until returns how many requests are in progress when there are none, or after timeout,
// which is an error.
func (d *drainWait) until(ctx context.Context, timeout time.Duration) (int, error) {
	end, told := time.Now().Add(timeout), -1
	for {
		list, err := d.ask(ctx)
		if err != nil {
			return max(told, 0), err
		}
		n, err := d.left(list)
		if err != nil || n == 0 {
			return n, err
		}
		if n != told {
			told = n
			d.tell(n)
		}
		if !time.Now().Before(end) {
			return n, fmt.Errorf("%s still in progress after %v; the drain goes on", count(n, "request"), timeout)
		}
		select {
		case <-time.After(waitEvery):
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// left returns how many requests what is drained still serves.
func (d *drainWait) left(list []admin.UpstreamStatus) (int, error) {
	for i := range list {
		u := &list[i]
		switch {
		case u.Name != d.upstream:
		case d.target == "" && u.Drained:
			return u.InProgress + u.Pending, nil
		case d.target == "":
			return 0, errUndone
		default:
			return d.leftAt(u)
		}
	}
	return 0, fmt.Errorf("upstream %q was removed from the configuration meanwhile", d.upstream)
}

func (d *drainWait) leftAt(u *admin.UpstreamStatus) (int, error) {
	if !u.Known(d.target) {
		return 0, fmt.Errorf("target %q was removed from upstream %q meanwhile", d.target, d.upstream)
	}
	n := 0
	for i := range u.Targets {
		t := &u.Targets[i]
		if !t.Is(d.target) {
			continue
		}
		if t.State != admin.TargetDraining && t.State != admin.TargetDrained {
			return 0, errUndone
		}
		n += t.InProgress
	}
	return n, nil
}
