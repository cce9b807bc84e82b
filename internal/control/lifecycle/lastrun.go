package lifecycle

import (
	"os"
	"strings"

	"sentinel/internal/config/schema"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/lastrun"
)

// markRun leaves the mark of this run in the state folder of l, and tells of a run before it
// that didn't end well.
func (p *Process) markRun(l *Loaded) {
	dir := l.Settings.StateDir
	if p.mark.Dir() == dir {
		return
	}
	p.mark.End()
	mark, end, err := lastrun.Begin(dir, p.thisRun())
	if p.mark = mark; err != nil {
		p.log.Warn("how this run ends won't be known", "detail", err.Error())
	}
	if end == nil {
		return
	}
	p.log.Warn("the last run ended badly", "how", end.How, "cause", end.Cause, "last_pid", end.Run.PID, "last_started", end.Run.Started.UTC().Format(stampLayout))
	p.record(event.Event{Kind: event.KindProcess, Worse: true, From: end.How, To: "restarted", Cause: end.Cause, Detail: end.String()})
}

// stampLayout is RFC 3339 in UTC, without parts of a second.
const stampLayout = "2006-01-02T15:04:05Z"

func (p *Process) thisRun() lastrun.Run {
	return lastrun.Run{Started: p.started, Release: p.opt.Version.Version, ConfigFile: p.opt.ConfigFile}
}

// noteFailedStart notes in the state folder, where there is one, why this process could not
// start.
func (p *Process) noteFailedStart(d description) {
	cfg, _, _ := schema.Load(p.opt.ConfigFile, schema.Options{})
	dir := cfg.System.StateDir.V
	if _, err := os.Stat(dir); dir == "" || err != nil {
		return
	}
	if err := lastrun.StartFailed(dir, p.thisRun(), d.kind, strings.Join(d.lines, "\n")); err != nil {
		p.log.Warn("the failed start isn't noted", "detail", err.Error())
	}
}
