package diagnose

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/observe/lastrun"
)

// judgeDeath says why no process serves.
func judgeDeath(f *facts) []Finding {
	if f.up() {
		return judgeFrozen(f)
	}
	var out []Finding
	if p := judgePorts(f); p != nil {
		out = append(out, *p)
	}
	end := f.last.End
	line := f.oomLine()
	switch {
	case line != "":
		out = append(out, Finding{
			Code: "process-oom-killed", What: "sentinel is down: the kernel killed it because memory was out",
			Evidence: append([]string{line}, f.deathEvidence()...),
			Commands: []Command{
				f.startCommand("start it again"),
				{"how much memory there is", "free -h"},
				{"what the unit allows it", "systemctl show sentinel -p MemoryMax,MemoryPeak"},
				{"whether a bound in the configuration is below that", f.command("config show") + " | grep max-memory"},
			},
		})
	case end != nil && end.How == lastrun.Crashed:
		out = append(out, Finding{
			Code: "process-crashed", What: "sentinel is down: it crashed: " + clip(end.Cause, 100),
			Evidence: append(trace(end), f.deathEvidence()...),
			Commands: []Command{
				f.startCommand("start it again"),
				f.stays(),
				{"keep what is known of the crash", "tar czf /tmp/sentinel-crash.tgz -C " + Word(f.cfg.System.StateDir.V) + " ."},
			},
		})
	case end != nil && (end.How == lastrun.Killed || end.How == lastrun.Rebooted):
		out = append(out, killed(f, end))
	default:
		out = append(out, absent(f, end))
	}
	return out
}

func killed(f *facts, end *lastrun.End) Finding {
	what := "sentinel is down: it was killed without a word"
	if end.How == lastrun.Rebooted {
		what = "sentinel is down: the machine has restarted since it ran"
	}
	return Finding{
		Code: "process-killed", What: what,
		Evidence: append([]string{end.String(), "it left no word of a crash, and no kill by the kernel is seen"}, f.deathEvidence()...),
		Commands: []Command{f.startCommand("start it again"), f.stays(), {"who might have killed it", "journalctl --since -1h | grep -i -e kill -e sentinel | tail -50"}},
	}
}

func absent(f *facts, end *lastrun.End) Finding {
	what := "sentinel is not running"
	var evidence []string
	if end != nil && end.How == lastrun.Unborn {
		what = "sentinel is not running: it could not start: " + clip(end.Cause, 80)
		evidence = append(evidence, "the last start failed at "+clock(end.Found)+":")
		for line := range strings.Lines(end.Detail) {
			evidence = append(evidence, "  "+strings.TrimSpace(line))
		}
	}
	return Finding{Code: "process-not-running", What: what, Evidence: append(evidence, f.deathEvidence()...), Commands: []Command{f.startCommand("start it"), f.stays()}}
}

func judgeFrozen(f *facts) []Finding {
	if !f.process.Stopped {
		return nil
	}
	pid := strconv.Itoa(f.process.PID)
	return []Finding{{
		Code: "process-frozen", What: "sentinel is frozen: process " + pid + " was stopped by a signal or a debugger",
		Evidence: []string{"/proc/" + pid + "/status: its state is T (stopped)"},
		Commands: []Command{{"let it go on", "kill -CONT " + pid}, {"or begin anew", "systemctl restart sentinel"}},
	}}
}

// judgePorts returns the finding of ports that others have taken.
func judgePorts(f *facts) *Finding {
	if len(f.ports) == 0 {
		return nil
	}
	r := &Finding{Code: "port-in-use"}
	seen := make(map[int]bool)
	for _, o := range f.ports {
		who := "a process that can't be seen from here (run as root to see it)"
		if o.pid != 0 {
			who = fmt.Sprintf("process %d (%s)", o.pid, o.name)
		}
		if r.What == "" {
			r.What = fmt.Sprintf("sentinel can't start: %s of listener %s is taken by %s", o.address, o.listener, who)
		}
		line := fmt.Sprintf("listener %s wants %s, where %s listens", o.listener, o.address, who)
		if o.command != "" {
			line += ": " + clip(o.command, 120)
		}
		r.Evidence = append(r.Evidence, line)
		if o.at != "" {
			r.Evidence = append(r.Evidence, "the address stands at "+o.at)
		}
		if o.pid != 0 && !seen[o.pid] {
			seen[o.pid] = true
			r.Commands = append(r.Commands, Command{"look at who it is", "ps -fp " + strconv.Itoa(o.pid)}, Command{"end it, if it may be ended", "kill " + strconv.Itoa(o.pid)})
		}
	}
	r.Commands = append(r.Commands, f.startCommand("then start sentinel"))
	return r
}

// startCommand returns how to start the process here.
func (f *facts) startCommand(why string) Command {
	if f.unit != nil || f.opt.ConfigFile == defaultConfig {
		return Command{why, "systemctl restart sentinel"}
	}
	return Command{why, f.opt.Prefix + " --config " + Word(f.opt.ConfigFile)}
}

func (f *facts) stays() Command {
	return Command{"see whether it stays up", "sleep 5; " + f.command("diagnose")}
}

// deathEvidence tells what is left of a process that is gone.
func (f *facts) deathEvidence() []string {
	var out []string
	if f.running.err != nil {
		out = append(out, f.running.err.Error())
	}
	if r := f.last.Run; r != nil && !f.last.Alive {
		out = append(out, fmt.Sprintf("the last run: process %d of sentinel %s, since %s", r.PID, r.Release, clock(r.Started)))
	}
	if u := f.unit; u != nil {
		out = append(out, fmt.Sprintf("systemd: %s (%s), result %s, %s restarts", u["ActiveState"], u["SubState"], u["Result"], u["NRestarts"]))
	}
	for _, line := range f.errors {
		out = append(out, "log: "+line)
	}
	return out
}

// oomLine returns what tells that the kernel killed the process for want of memory.
func (f *facts) oomLine() string {
	pid := f.process.FilePID
	if f.last.Run != nil && !f.last.Alive {
		pid = f.last.Run.PID
	}
	for i := len(f.kernel) - 1; i >= 0; i-- {
		line := f.kernel[i]
		if r := f.last.Run; r != nil && stampOf(line).Before(r.Started.Add(-kernelClockSlack)) && !stampOf(line).IsZero() {
			continue // the number was another process's then
		}
		if pid != 0 {
			number := strconv.Itoa(pid)
			if strings.Contains(line, "rocess "+number+" (") || strings.Contains(line, "pid="+number+",") {
				return "kernel: " + line
			}
		} else if strings.Contains(line, "(sentinel)") {
			return "kernel: " + line
		}
	}
	if f.unit["Result"] == "oom-kill" {
		return "systemd: the result of sentinel.service is oom-kill"
	}
	return ""
}

// kernelClockSlack is how far the kernel's clock may lag behind, by suspends of the machine.
const kernelClockSlack = 10 * time.Minute

// stampOf returns the time that a line of dmesg or journalctl begins with; zero for none.
func stampOf(line string) time.Time {
	text, _, _ := strings.Cut(line, " ")
	text = strings.Replace(text, ",", ".", 1)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05-0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

// traceLinesMax is how much of a crash is shown.
const traceLinesMax = 8

func trace(end *lastrun.End) []string {
	out := []string{"crash record of process " + strconv.Itoa(end.Run.PID) + ":"}
	for line := range strings.Lines(end.Detail) {
		line = strings.TrimRight(line, "\n")
		ours := strings.HasPrefix(line, "sentinel/") || strings.HasPrefix(line, "created by sentinel/")
		if line != "" && (len(out) <= 2 || ours || strings.HasPrefix(line, "panic: ")) {
			out = append(out, "  "+clip(strings.ReplaceAll(line, "\t", "  "), errorBytesMax))
		}
		if len(out) > traceLinesMax {
			break
		}
	}
	return out
}

// judgePIDFile says that signals by the pid file go nowhere.
func judgePIDFile(f *facts) []Finding {
	p, path := &f.process, f.cfg.System.PIDFile.V
	if errors.Is(p.FileErr, fs.ErrPermission) {
		f.blind("the pid file: " + p.FileErr.Error())
		return nil
	}
	if p.FilePID == p.PID || !f.up() && p.FilePID == 0 {
		return nil
	}
	who := fmt.Sprintf("names process %d, which doesn't exist", p.FilePID)
	switch {
	case p.FilePID == 0:
		who = "isn't there or holds no number"
	case p.FileOwner != "":
		who = fmt.Sprintf("names process %d, which is %q and not this proxy", p.FilePID, p.FileOwner)
	}
	r := Finding{
		Code: "pid-file-stale", What: "the pid file " + path + " " + who,
		Evidence: []string{"kill -HUP $(cat " + path + ") doesn't reach sentinel"},
		Commands: []Command{{"take it away", "rm " + Word(path)}},
	}
	if f.up() {
		r.Evidence = append(r.Evidence, fmt.Sprintf("sentinel is process %d", p.PID))
		r.Commands = []Command{{"name the process that runs", fmt.Sprintf("echo %d > %s", p.PID, Word(path))}}
	}
	return []Finding{r}
}

// judgeRestart tells of a process that runs again after a bad end.
func judgeRestart(f *facts) []Finding {
	for _, e := range f.running.events {
		if e.Kind != "process" || f.now.Sub(e.Time) > time.Hour {
			continue
		}
		r := Finding{
			Code: "restarted", What: fmt.Sprintf("sentinel runs again since %s: the last run %s", clock(e.Time), e.From),
			Evidence: []string{e.Detail},
			Commands: []Command{{"the log of the last run", "journalctl -u sentinel --since -1h | grep -B5 -A30 -e panic -e 'fatal error'"}},
		}
		if end := f.last.End; end != nil && end.Detail != "" {
			r.Evidence = append(r.Evidence, trace(end)...)
		}
		if f.last.End != nil && f.last.End.How == lastrun.Killed {
			for _, line := range f.kernel {
				if strings.Contains(line, strconv.Itoa(f.last.End.Run.PID)) {
					r.Evidence = append(r.Evidence, "kernel: "+line)
				}
			}
		}
		if n, _ := strconv.Atoi(f.unit["NRestarts"]); n > 1 {
			r.Evidence = append(r.Evidence, fmt.Sprintf("systemd has restarted it %d times", n))
		}
		return []Finding{r}
	}
	return nil
}
