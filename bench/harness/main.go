// Command harness compares the CPU cost of reverse proxies. It runs Sentinel,
// HAProxy, nginx and Caddy in turn under the same load in one run: the proxy
// pinned to one core, load and origin to another. README.md one folder up says
// what is measured, how the peers are configured, and what was found.
//
// It must be started in the root of the repository. It exits with 1 when
// something could not be measured, a failed request included.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	proxies         string
	scenarios       string
	conns           string
	rounds          int
	duration        time.Duration
	warmup          time.Duration
	quiet           time.Duration
	limit           time.Duration
	basePort        int
	proxyCore       int
	loadCore        int
	out             string
	sentinelCommand string
	profile         string
}

func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("harness", flag.ContinueOnError)
	f.StringVar(&o.proxies, "proxies", "haproxy,nginx,caddy,sentinel", "`names` of the proxies to run")
	f.StringVar(&o.scenarios, "scenarios", "1k,1k-log,1m,browser,1k-targets,1k-tls,handshake,h2c-16x32,h2c-4x8,h2-16x32,h2-4x8,idle,idle-tls", "`names` of the scenarios to run")
	f.StringVar(&o.conns, "conns", "", "`numbers` of connections, instead of those of each scenario but idle")
	f.IntVar(&o.rounds, "rounds", 5, "measured rounds of each proxy; a warm-up comes first")
	f.DurationVar(&o.duration, "d", 3*time.Second, "length of a round, whole seconds")
	f.DurationVar(&o.warmup, "warmup", 2*time.Second, "length of the warm-up round, whole seconds")
	f.DurationVar(&o.quiet, "quiet", 3*time.Second, "longest wait for a quiet machine before each round")
	f.DurationVar(&o.limit, "limit", 40*time.Minute, "longest time of everything together")
	f.IntVar(&o.basePort, "port", 18000, "first of 30 ports that are used on "+host)
	f.IntVar(&o.proxyCore, "proxy-core", 0, "core of the proxy")
	f.IntVar(&o.loadCore, "load-core", 1, "core of load and origin")
	f.StringVar(&o.out, "out", "bench/out", "`folder` for results and built programs")
	f.StringVar(&o.sentinelCommand, "sentinel-cmd", "bin/sentinel --config {config}",
		"`command` that starts Sentinel, split at spaces; {config}, {listen} and {origin} are replaced")
	f.StringVar(&o.profile, "profile", "", "`file` for a CPU profile of Sentinel, passed to it in SENTINEL_PPROF")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o options) check() error {
	switch {
	case o.rounds < 1 || o.duration < time.Second || o.warmup < time.Second:
		return fmt.Errorf("rounds, -d and -warmup must be at least 1 and 1s")
	case strings.TrimSpace(o.sentinelCommand) == "":
		return fmt.Errorf("-sentinel-cmd is empty")
	case max(o.proxyCore, o.loadCore) >= runtime.NumCPU() || o.proxyCore == o.loadCore:
		return fmt.Errorf("two cores are needed: -proxy-core %d and -load-core %d of %d", o.proxyCore, o.loadCore, runtime.NumCPU())
	}
	for n := range strings.SplitSeq(o.conns, ",") {
		if c, err := strconv.Atoi(n); o.conns != "" && (err != nil || c < 1) {
			return fmt.Errorf("-conns: %q is not a number of connections", n)
		}
	}
	return nil
}

// connections are the numbers of connections to measure s with.
func (o options) connections(s scenario) []int {
	if o.conns == "" || s.idle {
		return s.conns
	}
	var conns []int
	for n := range strings.SplitSeq(o.conns, ",") {
		c, _ := strconv.Atoi(n) // checked by check
		conns = append(conns, c)
	}
	return conns
}

func main() {
	// Children end with the thread that started them, so they are all started
	// from a thread that lives as long as the process.
	runtime.LockOSThread()
	o, err := parseOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "harness: %v\n", err)
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "harness: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	chosenScenarios, err := chooseScenarios(o.scenarios)
	if err != nil {
		return err
	}
	chosenPeers, err := choosePeers(o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if err := prepare(ctx, o, chosenPeers, chosenScenarios); err != nil {
		return err
	}
	if err := pinThreads(o.loadCore); err != nil {
		return err
	}
	r := newReport(o, chosenPeers)
	for _, s := range chosenScenarios {
		if ctx.Err() != nil {
			r.Failures = append(r.Failures, s.name+": "+context.Cause(ctx).Error())
			continue
		}
		runScenario(ctx, o, s, chosenPeers, r)
	}
	r.writeMarkdown(os.Stdout)
	name, err := r.save(o.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "saved as %s.md and .json\n", name)
	if len(r.Failures) > 0 {
		return fmt.Errorf("not measured:\n%s", strings.Join(r.Failures, "\n"))
	}
	return nil
}

func newReport(o options, chosen []peer) *report {
	r := &report{
		When: time.Now(), Machine: describeMachine(), Command: "bench/harness " + strings.Join(os.Args[1:], " "),
		Rounds: o.rounds, Seconds: o.duration.Seconds(), Versions: map[string]string{},
	}
	for _, p := range chosen {
		r.Versions[p.name] = p.versionLine()
	}
	return r
}

// runScenario adds to r what s finds, or why it found nothing.
func runScenario(ctx context.Context, o options, s scenario, chosen []peer, r *report) {
	fmt.Fprintf(os.Stderr, "scenario %s: %s\n", s.name, s.about)
	dir, err := os.MkdirTemp(memoryFolder(), "proxy-bench-")
	if err != nil {
		r.Failures = append(r.Failures, err.Error())
		return
	}
	defer os.RemoveAll(dir)
	if chosen = s.peersOf(chosen); len(chosen) == 0 {
		return
	}
	// Workers of the proxies run as other users and need the way in.
	if err := os.Chmod(dir, 0o755); err != nil {
		r.Failures = append(r.Failures, err.Error())
		return
	}
	if s.TLS {
		if err := writeCertificate(dir); err != nil {
			r.Failures = append(r.Failures, err.Error())
			return
		}
	}
	b := &bench{options: o, scenario: s, dir: dir}
	if !s.idle {
		if err := b.measure(ctx, chosen); err != nil {
			r.Failures = append(r.Failures, err.Error())
		}
		r.Samples = append(r.Samples, b.samples...)
		return
	}
	for _, conns := range o.connections(s) {
		for _, p := range chosen {
			m, err := b.measureIdle(ctx, p, conns)
			if err != nil {
				r.Failures = append(r.Failures, fmt.Sprintf("%s, %d connections, %s: %v", s.name, conns, p.name, err))
				continue
			}
			r.Memory = append(r.Memory, m)
		}
	}
}

// memoryFolder is where temporary files cost no disk writes.
func memoryFolder() string {
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err == nil && info.IsDir() {
		return shared
	}
	return filepath.Clean(os.TempDir())
}
