package diagnose

import (
	"context"
	"sync"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/probe"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/lastrun"
	"sentinel/internal/observe/series"
)

// Options are what a diagnosis looks at and what it asks the rest of the program.
type Options struct {
	ConfigFile  string
	AdminSocket string // "" is that of the configuration
	// Prefix is what commands of this program begin with, such as "sentinel"; Flags are what
	// they need to reach the same proxy, such as "--config /x".
	Prefix, Flags string
	// Check reads a configuration as a start would and returns what is wrong with it, or nil.
	Check func(path string) *ConfigProblem
	// Checks returns how a target of each upstream is asked whether it is well.
	Checks func(path string) (map[string]*probe.Check, error)
}

// ConfigProblem is why a configuration can't be used.
type ConfigProblem struct {
	Kind  string   // "parse error", "validation error" or "read error"
	Lines []string // a problem each, with file:line:column
	// Denied reports that who asks may not read it, which says nothing about the file.
	Denied bool
}

// facts are all that was seen. Each part belongs to the check that fills it in until all have
// ended; rules only read.
type facts struct {
	opt  Options
	now  time.Time
	cfg  *schema.Config // never nil; as far as the file could be read
	conf configFacts

	process process
	last    lastrun.State
	health  []endpoint
	ready   []endpoint
	running running
	before  scrape // two looks at the metrics, a second apart
	after   scrape
	probes  []probed
	ports   []portOwner
	peers   map[string]int // established connections to our listeners by client
	disks   []disk
	host    host
	certs   []certificate
	kernel  []string // lines of the kernel that tell of a kill for want of memory
	errors  []string // the last errors of the log
	unit    map[string]string

	unseen struct {
		sync.Mutex
		list []string
	}
}

// running is what the process tells at its admin socket.
type running struct {
	err       error // nil: it answers
	status    admin.Status
	upstreams []admin.UpstreamStatus
	events    []event.Event
	overrides []admin.Override
	series    series.Window // of the last hour, in steps of ten seconds
	bans      []admin.Ban
	bansLater []admin.Ban // a second later
	certs     []admin.Certificate
	minute    traffic // the last minute
	five      traffic // the last five
	config    string
}

// traffic is what the lists of the process hold over a while.
type traffic struct {
	seconds  int
	requests uint64
	clients  []admin.TopEntry
	faults   map[string]uint64 // by label
}

// blind notes what could not be seen.
func (f *facts) blind(what string) {
	f.unseen.Lock()
	defer f.unseen.Unlock()
	f.unseen.list = append(f.unseen.list, what)
}

// up reports whether a process was found.
func (f *facts) up() bool { return f.process.PID != 0 }

// command returns a line that runs this program against the same proxy.
func (f *facts) command(args string) string {
	line := f.opt.Prefix + " " + args
	if f.opt.Flags != "" {
		line += " " + f.opt.Flags
	}
	return line
}

// The bounds of time: of the whole, of one question, and between two looks at counters.
const (
	total       = 8 * time.Second
	question    = 2 * time.Second
	probeWait   = 3 * time.Second
	sampleEvery = time.Second
)

// Run looks at everything and returns what is wrong. It ends within ten seconds.
func Run(ctx context.Context, opt Options) *Report {
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	f := gather(ctx, opt)
	return f.report()
}

// report judges and ranks.
func (f *facts) report() *Report {
	r := &Report{At: f.now, ConfigFile: f.opt.ConfigFile, Running: f.up(), PID: f.process.PID, Findings: []Finding{}, Changes: f.changes(), Unseen: f.unseen.list}
	for _, rule := range rules() {
		r.Findings = append(r.Findings, rule(f)...)
	}
	r.Findings = rank(r.Findings)
	if len(r.Findings) > 0 {
		r.Severity, r.Verdict = r.Findings[0].Severity, r.Findings[0].What
	} else {
		r.Verdict = f.wellness()
	}
	if r.Unseen == nil {
		r.Unseen = []string{}
	}
	r.Exit = int(r.Severity)
	r.TookMillis = time.Since(f.now).Milliseconds()
	return r
}

// rules returns what judges, each of its own kind of fault.
func rules() []func(*facts) []Finding {
	return []func(*facts) []Finding{
		judgeDeath, judgePIDFile, judgeRestart, judgeConfig, judgeReload, judgeDeviation, judgeRegression, judgeDrained, judgeOverrides, judgeBans,
		judgeDisks, judgeDescriptors, judgeMemory, judgeHost, judgeCertificates, judgeClientTLS,
		judgeTargets, judgeUpstreamFaults, judgeBreakers, judgeLatency, judgeSaturation, judgeLimits, judgeSlowClients, judgeAttack,
		judgeEndpoints, judgeErrors, judgeStore,
	}
}
