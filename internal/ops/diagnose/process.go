package diagnose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/series"
)

// process is the process that serves, as far as it is found.
type process struct {
	PID       int    // 0: none was found
	Name      string // of the kernel
	Stopped   bool   // by a signal or a debugger
	NotOurs   bool   // its descriptors can't be seen
	Files     int    // open; 0: not known
	FilesMax  int    // 0: not known
	Cgroup    string // path in the unified hierarchy; "" where there is none
	FilePID   int    // that the pid file names; 0: none
	FileOwner string // the name of the process that has that number; "" when none has
	FileErr   error  // of reading the pid file
}

// readRunning asks at the admin socket what later checks depend on.
func (f *facts) readRunning(ctx context.Context) {
	r := &f.running
	c := admin.NewClient(f.opt.AdminSocket, question)
	if r.status, r.err = c.Status(ctx); r.err != nil {
		if !errors.Is(r.err, admin.ErrNotRunning) {
			f.blind("what the process tells: " + r.err.Error())
		}
		return
	}
	part := func(what string, err error) {
		if err != nil {
			f.blind(what + ": " + err.Error())
		}
	}
	var err error
	r.upstreams, err = c.Upstreams(ctx, "")
	part("upstreams", err)
	r.events, err = c.Events(ctx, 0)
	part("events", err)
	r.bans, err = c.Bans(ctx)
	part("bans", err)
	r.certs, err = c.Certificates(ctx)
	part("certificates in use", err)
	r.overrides, err = c.Overrides(ctx)
	part("emergency changes", err)
	config, err := c.Config(ctx)
	part("the configuration that serves", err)
	r.config = config.Text
}

// findProcess looks for the process: by what answers at the socket, by the mark of its run, by
// the pid file, and by its command line.
func (f *facts) findProcess() {
	p := &f.process
	p.FilePID, p.FileErr = readPID(f.cfg.System.PIDFile.V)
	if p.FilePID != 0 {
		p.FileOwner = nameOf(p.FilePID)
	}
	switch {
	case f.running.err == nil:
		p.PID = f.running.status.PID
	case f.last.Alive:
		p.PID = f.last.Run.PID
	case p.FileOwner != "" && p.FileOwner == nameOf(os.Getpid()) && f.serves(p.FilePID):
		p.PID = p.FilePID
	default:
		p.PID = f.search()
	}
	if p.PID != 0 {
		f.describeProcess()
	}
}

// serves reports whether a process was started for the configuration at hand; it does when that
// can't be seen.
func (f *facts) serves(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(line) == 0 {
		return err != nil
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	named := ""
	for i, a := range args {
		switch {
		case (a == "--config" || a == "-c") && i+1 < len(args):
			named = args[i+1]
		case strings.HasPrefix(a, "--config="):
			named = strings.TrimPrefix(a, "--config=")
		case i == 1 && !strings.HasPrefix(a, "-"):
			return false // a command, not the proxy
		}
	}
	if named == "" {
		return f.opt.ConfigFile == defaultConfig
	}
	if !filepath.IsAbs(named) {
		named = filepath.Join(cwd, named)
	}
	return filepath.Clean(named) == f.opt.ConfigFile
}

// defaultConfig is what a process without --config has read.
const defaultConfig = "/etc/sentinel/config.kdl"

// search looks through all processes for one of our name that serves the configuration.
func (f *facts) search() int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		f.blind("processes: " + err.Error())
		return 0
	}
	own := nameOf(os.Getpid())
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && nameOf(pid) == own && f.serves(pid) {
			return pid
		}
	}
	return 0
}

func (f *facts) describeProcess() {
	p := &f.process
	p.Name = nameOf(p.PID)
	dir := fmt.Sprintf("/proc/%d/", p.PID)
	status, _ := os.ReadFile(dir + "status")
	for line := range strings.Lines(string(status)) {
		if state, ok := strings.CutPrefix(line, "State:\t"); ok {
			p.Stopped = strings.HasPrefix(state, "T") || strings.HasPrefix(state, "t")
		}
	}
	limits, _ := os.ReadFile(dir + "limits")
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			p.FilesMax, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	if files, err := os.ReadDir(dir + "fd"); err == nil {
		p.Files = len(files)
	} else if errors.Is(err, fs.ErrPermission) {
		p.NotOurs = true
	}
	groups, _ := os.ReadFile(dir + "cgroup")
	for line := range strings.Lines(string(groups)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			p.Cgroup = path
		}
	}
}

// nameOf returns the name of a living process, "" of none.
func nameOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		if rest := stat[bytes.LastIndexByte(stat, ')')+1:]; bytes.HasPrefix(rest, []byte(" Z")) || bytes.HasPrefix(rest, []byte(" X")) {
			return ""
		}
	}
	return strings.TrimSpace(string(text))
}

func readPID(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s holds no number of a process", path)
	}
	return pid, nil
}

// The whiles of the lists of the process.
const (
	minute     = time.Minute
	fiveMinute = 5 * time.Minute
	listed     = 256
)

// readTraffic reads the lists, and the bans once more a second later.
func (f *facts) readTraffic(ctx context.Context) {
	r := &f.running
	if r.err != nil {
		return
	}
	c := admin.NewClient(f.opt.AdminSocket, question)
	r.minute, r.five = f.window(ctx, c, minute), f.window(ctx, c, fiveMinute)
	var err error
	if r.series, err = c.Series(ctx, time.Hour, series.Step); err != nil {
		f.blind("the last hour: " + err.Error())
	}
	if len(r.bans) == 0 || !sleep(ctx, sampleEvery) {
		return
	}
	r.bansLater, _ = c.Bans(ctx)
}

// lastReload returns when what serves was loaded, if that was by a reload.
func (f *facts) lastReload() time.Time {
	for _, e := range slices.Backward(f.running.events) {
		if e.Kind == "reload" && !e.Worse {
			return e.Time
		}
	}
	return time.Time{}
}

func (f *facts) window(ctx context.Context, c *admin.Client, d time.Duration) traffic {
	t := traffic{seconds: int(d.Seconds()), faults: make(map[string]uint64)}
	clients, err := c.Top(ctx, "clients", d, listed)
	if err != nil {
		f.blind("who sends: " + err.Error())
		return t
	}
	t.requests, t.clients = clients.Total, clients.Entries
	faults, err := c.Top(ctx, "faults", d, listed)
	if err != nil {
		f.blind("which faults there are: " + err.Error())
	}
	for _, e := range faults.Entries {
		t.faults[e.Key] = e.Count
	}
	return t
}

// sleep waits and reports whether there is time left.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
