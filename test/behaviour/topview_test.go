package behaviour

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"sentinel/internal/control/admin"
	"sentinel/internal/ops/overview"
)

// terminal is a real tmux with "sentinel top" in it.
type terminal struct {
	t      *testing.T
	server string
}

// startTop starts it in a terminal of a size, with more environment.
func (p *proxy) startTop(columns, lines int, env ...string) *terminal {
	p.t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		p.t.Skip("tmux is not installed (Debian: apt-get install tmux)")
	}
	x := &terminal{p.t, fmt.Sprintf("sentinel-test-%d", os.Getpid())}
	args := []string{"-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines), "env", "LC_ALL=C.UTF-8", commandVariable + "=1"}
	args = append(append(args, env...), os.Args[0], "top", "--every", "500ms", "--admin-socket", p.AdminSocket())
	x.tmux(args...)
	p.t.Cleanup(func() { exec.Command("tmux", "-L", x.server, "kill-server").Run() })
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-L", x.server}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v %s", args, err, out)
	}
	return string(out)
}

// screen returns what the terminal shows.
func (x *terminal) screen() string { return x.tmux("capture-pane", "-p") }

// keys presses keys, each by its name in tmux.
func (x *terminal) keys(names ...string) {
	x.t.Helper()
	x.tmux(append([]string{"send-keys"}, names...)...)
}

// shows waits until the screen holds all words.
func (x *terminal) shows(words ...string) {
	x.t.Helper()
	last := ""
	defer func() {
		if x.t.Failed() {
			x.t.Logf("the screen:\n%s", last)
		}
	}()
	eventually(x.t, fmt.Sprintf("the screen shows %q", words), func() bool {
		last = x.screen()
		for _, w := range words {
			if !strings.Contains(last, w) {
				return false
			}
		}
		return true
	})
}

func (x *terminal) ended() bool {
	return exec.Command("tmux", "-L", x.server, "has-session").Run() != nil
}

// stateOf returns the state of the first target.
func (p *proxy) stateOf() string {
	list, err := p.client().Upstreams(p.t.Context(), "")
	if err != nil || len(list) != 1 {
		p.t.Fatalf("upstreams = %v, %v", list, err)
	}
	return list[0].Targets[0].State
}

// TestTopViewDrains watches in 80 columns and 24 lines, drains a target and undoes it.
func TestTopViewDrains(t *testing.T) {
	a, b := newMember(t, "a"), newMember(t, "b")
	p := start(t, "", group("", "", a, b))
	p.visit()
	x := p.startTop(80, 24)
	x.shows("Sentinel", "SERVING, READY", "generation 1", "root", "[1 Overview]", "REQ/S, last", "5XX/S, last", "UPSTREAM", "2 of 2", "FAULTS", "CLIENTS", "127.0.0.1", "EVENTS", "q quit")
	lines := strings.Split(strings.TrimSuffix(x.screen(), "\n"), "\n")
	if len(lines) != 24 {
		t.Errorf("the screen has %d lines, want 24", len(lines))
	}
	for _, l := range lines {
		if utf8.RuneCountInString(l) > 80 || strings.ContainsFunc(l, func(r rune) bool { return r > 126 }) {
			t.Errorf("the line %q isn't 80 columns of ASCII", l)
		}
	}
	// A drain wants a choice and a confirmation.
	x.keys("d")
	x.shows("[2 Upstreams]", "choose by the arrow keys", a.Addr())
	x.keys("Down", "d")
	x.shows("Drain target "+a.Addr()+" of upstream u?", "2 of 2 targets", "y   yes, drain it")
	x.keys("n")
	x.shows("nothing was changed")
	if got := p.stateOf(); got == "drained" {
		t.Error("a drain that wasn't confirmed was made")
	}
	x.keys("d", "y")
	x.shows("done; to undo: sentinel drain u/"+a.Addr()+" --undo", "drained")
	if got := p.stateOf(); got != "drained" {
		t.Errorf("after the drain the target is %s, want drained", got)
	}
	x.keys("Down", "d")
	x.shows("! NO TARGET WILL BE LEFT")
	x.keys("n", "Up", "d")
	x.shows("take requests again?")
	x.keys("y")
	eventually(t, "the drain is undone", func() bool { return p.stateOf() != "drained" })
	want(t, "the events", p.sentinel("events", "--kind", "drain"), `cause="by sentinel top"`)
	// Other sizes.
	x.tmux("resize-window", "-x", "132", "-y", "50")
	x.keys("1")
	x.shows("[1 Overview]", "target drained u "+a.Addr()+": by sentinel top")
	x.tmux("resize-window", "-x", "30", "-y", "8")
	x.shows("too small: 80x24 wanted")
	x.tmux("resize-window", "-x", "80", "-y", "24")
	x.keys("?")
	x.shows("Changes, each after a confirmation")
	x.keys("x", "q")
	eventually(t, "q quits", x.ended)
}

// TestTopViewBans lifts a ban, bans, and shows nothing that a terminal would obey.
func TestTopViewBans(t *testing.T) {
	p := start(t, "", `routes { route "r" { respond 200 } }`)
	p.visit()
	if _, err := p.client().Ban(t.Context(), admin.BanRequest{Prefixes: []string{"192.0.2.7"}, Seconds: 600, Reason: "\x1b[31mred\x1b]0;title\a"}); err != nil {
		t.Fatal(err)
	}
	x := p.startTop(100, 24, "NO_COLOR=1")
	x.shows("SERVING")
	x.keys("7")
	x.shows("192.0.2.7/32", "9m", `\x1b[31mred\x1b]0;title\a`)
	if raw := x.tmux("capture-pane", "-p", "-e"); regexp.MustCompile(`\x1b\[[0-9;]*3[0-7]`).MatchString(raw) {
		t.Errorf("with NO_COLOR the screen has colours: %q", raw)
	}
	x.keys("u")
	x.shows("Lift the ban of 192.0.2.7/32?")
	x.keys("y")
	x.shows("192.0.2.7/32 is let in again")
	if list, err := p.client().Bans(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("bans = %v, %v, want none", list, err)
	}
	x.keys("4", "b")
	x.shows("Ban 127.0.0.1?", "30m")
	x.keys("+", "+", "-")
	x.shows("2h00m")
	x.keys("y") // the loopback is protected
	x.shows("loopback")
	p.Stop()
	x.shows("! no answer for")
	x.keys("C-c")
	eventually(t, "ctrl+c quits", x.ended)
}

// TestTopFrame has one look as JSON, and refuses what is neither a terminal nor a list.
func TestTopFrame(t *testing.T) {
	a := newMember(t, "a")
	p := start(t, "", group("", "", a))
	conn := func() overview.Frame {
		var f overview.Frame
		if err := json.Unmarshal([]byte(p.sentinel("top", "--json")), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	p.visit()
	eventually(t, "a look tells of the request", func() bool { return len(conn().Points) > 0 })
	f := conn()
	if f.Who.Role != "admin" || len(f.Upstr) != 1 || f.Upstr[0].Usable != 1 || !f.Process.Ready || len(f.Missing) != 0 || len(f.Clients.Entries) != 1 || len(f.Routes) == 0 {
		t.Errorf("a look = %+v", f)
	}
}
