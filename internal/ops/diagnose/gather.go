package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/observe/lastrun"
)

// gather looks at everything. What others depend on comes first: the configuration says where
// to look, the admin socket and /proc say whether there is a process.
func gather(ctx context.Context, opt Options) *facts {
	f := &facts{opt: opt, now: time.Now()}
	f.readConfig()
	f.readRunning(ctx)
	f.findProcess()
	var all sync.WaitGroup
	for _, look := range []func(context.Context){
		f.checkConfig, f.readTraffic, f.sample, f.askEndpoints, f.probeTargets, f.readSockets, f.readDisks,
		f.readCertificates, f.readKernelLog, f.readErrors, f.readUnit,
	} {
		all.Go(func() { look(ctx) })
	}
	all.Wait()
	return f
}

// configFacts is what is known of the file.
type configFacts struct {
	problem *ConfigProblem // nil: a start would take it
	changed time.Time      // of the file
	diff    []string       // what would change for traffic, were it loaded now
	// compared reports that diff is known.
	compared bool
}

// readConfig reads what of the configuration can be read: in the worst case the defaults.
func (f *facts) readConfig() {
	if abs, err := filepath.Abs(f.opt.ConfigFile); err == nil {
		f.opt.ConfigFile = abs
	}
	f.cfg, _, _ = schema.Load(f.opt.ConfigFile, schema.Options{})
	if info, err := os.Stat(f.opt.ConfigFile); err == nil {
		f.conf.changed = info.ModTime()
	}
	f.fillPlaces()
	last, err := lastrun.Read(f.cfg.System.StateDir.V)
	if err != nil {
		f.blind("how the last run ended: " + err.Error())
	}
	f.last = last
}

// fillPlaces sets the places that a configuration which can't be read doesn't tell.
func (f *facts) fillPlaces() {
	s, m := &f.cfg.System, &f.cfg.Observability.Metrics
	for value, otherwise := range map[*string]string{
		&s.PIDFile.V: "/var/run/sentinel.pid", &s.StateDir.V: "/var/lib/sentinel", &s.AdminSocket.V: "/var/run/sentinel/admin.sock",
		&m.Address.V: "127.0.0.1:9090", &m.Path.V: "/metrics",
	} {
		if *value == "" {
			*value = otherwise
		}
	}
	if f.opt.AdminSocket == "" {
		f.opt.AdminSocket = s.AdminSocket.V
	}
}

// checkConfig checks the file as a start would, and compares it with what serves.
func (f *facts) checkConfig(context.Context) {
	if f.opt.Check != nil {
		f.conf.problem = f.opt.Check(f.opt.ConfigFile)
	}
	if p := f.conf.problem; p != nil && (p.Denied || unreadable(f.opt.ConfigFile)) {
		f.blind("the configuration: " + strings.Join(p.Lines, "; "))
		f.conf.problem = nil
		return
	}
	if f.conf.problem != nil || f.running.err != nil || f.running.config == "" {
		return
	}
	if len(f.running.overrides) > 0 { // what serves differs by them, too
		f.conf.diff, f.conf.compared = f.running.status.FilesDiffer, true
		return
	}
	serving, _, diags := schema.LoadBytes(f.opt.ConfigFile, []byte(f.running.config), schema.Options{})
	if diags.HasErrors() {
		f.blind("whether the file is what serves: the text that serves can't be read back")
		return
	}
	f.conf.diff, f.conf.compared = schema.Diff(serving, f.cfg), true
}

// unreadable reports that who asks may not read a file that is there.
func unreadable(path string) bool {
	file, err := os.Open(path)
	if err == nil {
		file.Close()
	}
	return errors.Is(err, fs.ErrPermission)
}

// command output is bounded in time and size.
const outputMax = 1 << 20

// run runs a program and returns what it prints, for as long as a question may take.
func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, question)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.WaitDelay = 100 * time.Millisecond
	out, err := c.Output()
	return string(out[:min(len(out), outputMax)]), err
}

// readUnit asks the service manager, where there is one.
func (f *facts) readUnit(ctx context.Context) {
	out, err := run(ctx, "systemctl", "show", "sentinel.service", "-p", "LoadState,ActiveState,SubState,Result,NRestarts,ExecMainPID,ExecMainStatus,ExecMainCode")
	if err != nil {
		return
	}
	unit := make(map[string]string)
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			unit[key] = value
		}
	}
	if unit["LoadState"] == "loaded" {
		f.unit = unit
	}
}

// killedLinesMax is how many lines about kills are looked at.
const killedLinesMax = 20

// readKernelLog looks for kills for want of memory, where the process is gone.
func (f *facts) readKernelLog(ctx context.Context) {
	if f.up() && f.last.End == nil {
		return
	}
	out, err := run(ctx, "dmesg", "--time-format", "iso")
	if err != nil || out == "" {
		journal, jerr := run(ctx, "journalctl", "-k", "-q", "--no-pager", "-o", "short-iso", "--since", "-24h")
		if jerr != nil {
			f.blind("the kernel's log: " + reason(err))
			return
		}
		out = journal
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Killed process") || strings.Contains(line, "oom-kill:") || strings.Contains(line, "oom_reaper: reaped") {
			f.kernel = append(f.kernel, strings.TrimSpace(line))
		}
	}
	f.kernel = f.kernel[max(len(f.kernel)-killedLinesMax, 0):]
}

// reason is the text of an error for people; that of a program that isn't there says so.
func reason(err error) string {
	if err == nil {
		return "it is empty"
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

// errorLinesMax is how many errors of the log are shown, logBytesMax how much is read of its end.
const (
	errorLinesMax = 5
	errorBytesMax = 300
	logBytesMax   = 256 << 10
)

// readErrors reads the last errors of the log: of its file, or of the journal.
func (f *facts) readErrors(ctx context.Context) {
	var text string
	if file := f.cfg.Observability.Logging.File.V; file != "" {
		b, err := tail(file, logBytesMax)
		if err != nil {
			f.blind("the log: " + err.Error())
			return
		}
		text = string(b)
	} else {
		out, err := run(ctx, "journalctl", "-u", "sentinel", "-q", "--no-pager", "-n", "200", "-o", "cat")
		if err != nil {
			f.blind("the journal: " + reason(err))
			return
		}
		text = out
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "request failed, ") {
			continue // they are counted
		}
		if strings.Contains(line, " ERROR ") || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.Contains(line, `"level":"ERROR"`) {
			f.errors = append(f.errors, clip(strings.TrimSpace(line), errorBytesMax))
		}
	}
	f.errors = f.errors[max(len(f.errors)-errorLinesMax, 0):]
}

func tail(path string, bytes int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	from := max(info.Size()-bytes, 0)
	b := make([]byte, info.Size()-from)
	n, err := file.ReadAt(b, from)
	if n > 0 {
		err = nil
	}
	return b[:n], err
}
