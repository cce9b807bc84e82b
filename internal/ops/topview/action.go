package topview

import (
	"context"
	"fmt"
	"time"

	"sentinel/internal/control/admin"

	tea "charm.land/bubbletea/v2"
)

// reason is why the view has made a change, for the log.
const reason = "by sentinel top"

// dialog asks whether to make a change.
type dialog struct {
	ask   string   // what is to be done
	notes []string // what the operator should know
	verb  string   // what "y" does
	// lasts are how long it may last, chosen by + and -; empty where that isn't asked.
	lasts []time.Duration
	pick  int
	do    func(ctx context.Context, c *admin.Client, lasts time.Duration) (string, error)
}

// banLasts are the times that a ban may be given.
func banLasts() []time.Duration {
	return []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 24 * time.Hour}
}

// answer acts on a key while a dialog is open.
func (m *model) answer(key string) tea.Cmd {
	d := m.dialog
	switch key {
	case "y":
		m.dialog = nil
		m.message, m.bad = "working ...", false
		lasts := time.Duration(0)
		if len(d.lasts) > 0 {
			lasts = d.lasts[d.pick]
		}
		return func() tea.Msg {
			text, err := d.do(m.ctx, m.opt.Client, lasts)
			return acted{text, err}
		}
	case "+", "=", "right", "up":
		d.pick = min(d.pick+1, max(len(d.lasts)-1, 0))
	case "-", "left", "down":
		d.pick = max(d.pick-1, 0)
	case "n", "esc", "q":
		m.dialog = nil
		m.message, m.bad = "nothing was changed", false
	}
	return nil
}

// act opens the dialog of a key, on the page that it belongs to.
func (m *model) act(key string) {
	page := map[string]int{"d": pageUpstreams, "b": pageClients, "u": pageBans}[key]
	switch {
	case admin.RoleNamed(m.frame.Who.Role) < admin.RoleOperate:
		m.say("that needs the role operate, and you have the role %s: see docs/admin.md", m.frame.Who.Role)
	case m.page != page:
		m.page = page
		m.message, m.bad = "choose by the arrow keys, then press "+key+" again", false
	case m.rows(page) == 0:
		m.say("there is nothing here to choose")
	case key == "d":
		m.dialog = drainDialog(m.targets()[m.cursor[page]], m.opt.Undo)
	case key == "b":
		m.dialog = banDialog(m.frame.Clients.Entries[m.cursor[page]].Key, m.opt.Session)
	default:
		m.dialog = unbanDialog(&m.frame.Bans[m.cursor[page]])
	}
}

func drainDialog(t target, flags string) *dialog {
	q := admin.DrainRequest{Upstream: t.up.Name, Reason: reason}
	what, drained, inProgress := fmt.Sprintf("upstream %s", text(t.up.Name)), t.up.Drained, t.up.InProgress
	if t.target != nil {
		q.Target = t.target.Address
		what = fmt.Sprintf("target %s of upstream %s", text(q.Target), text(t.up.Name))
		drained = t.target.State == admin.TargetDraining || t.target.State == admin.TargetDrained
		inProgress = t.target.InProgress
	}
	do := func(ctx context.Context, c *admin.Client, _ time.Duration) (string, error) {
		r, err := c.Drain(ctx, q)
		if err != nil {
			return "", err
		}
		return "done; to undo: " + r.Undo + flags, nil
	}
	if drained {
		q.Undo = true
		return &dialog{ask: "Let " + what + " take requests again?", verb: "yes, undo the drain", do: do}
	}
	d := &dialog{ask: "Drain " + what + "?", verb: "yes, drain it", do: do}
	d.notes = append(d.notes,
		fmt.Sprintf("%d of %d targets of the upstream take requests now.", t.up.Usable, len(t.up.Targets)),
		fmt.Sprintf("%d requests in progress there are finished; new ones go elsewhere.", inProgress),
		"It holds until it is undone, by d again or by sentinel drain --undo.")
	if left := usableWithout(t); left == 0 {
		d.notes = append(d.notes, "", "! NO TARGET WILL BE LEFT: requests go to the fallback, or are answered 503.")
	}
	return d
}

// usableWithout returns how many targets take requests once t is drained.
func usableWithout(t target) int {
	if t.target == nil {
		return 0
	}
	n := t.up.Usable
	for i := range t.up.Targets {
		if other := &t.up.Targets[i]; other.Address == t.target.Address && other.Takes() {
			n--
		}
	}
	return n
}

func banDialog(client string, session []string) *dialog {
	return &dialog{
		ask: "Ban " + text(client) + "?", verb: "yes, ban it", lasts: banLasts(), pick: 1,
		notes: []string{
			"Its new connections are reset, open ones end with the answer in hand.",
			"Behind a network that many share, a ban hits all of them.",
		},
		do: func(ctx context.Context, c *admin.Client, lasts time.Duration) (string, error) {
			r, err := c.Ban(ctx, admin.BanRequest{Prefixes: []string{client}, Seconds: int64(lasts / time.Second), Reason: reason, Session: session})
			if err != nil || len(r.Bans) == 0 {
				return "", err
			}
			return fmt.Sprintf("%s is banned for %s, %d connections ended; to undo: u on page 7", r.Bans[0].Prefix, span(lasts), r.Connections), nil
		},
	}
}

func unbanDialog(b *admin.Ban) *dialog {
	prefix := b.Prefix
	return &dialog{
		ask: "Lift the ban of " + prefix + "?", verb: "yes, lift it",
		notes: []string{"by " + text(b.By.String()), "reason: " + text(b.Reason)},
		do: func(ctx context.Context, c *admin.Client, _ time.Duration) (string, error) {
			_, err := c.Unban(ctx, admin.UnbanRequest{Prefixes: []string{prefix}})
			return prefix + " is let in again", err
		},
	}
}
