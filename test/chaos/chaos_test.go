package chaos

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// chaosVariable names the environment variable that asks for the run and says about how
	// long it takes, such as "3m".
	chaosVariable = "SENTINEL_CHAOS"
	// rateVariable says how many requests a second are sent.
	rateVariable = "SENTINEL_CHAOS_RATE"
	rateDefault  = 2000
)

// injury is what is done to one origin.
type injury struct {
	name  string
	hurt  func(*originProcess)
	heal  func(*originProcess)
	every time.Duration // hurt again so often; 0: once
	quiet bool          // it may go by without an event
	cuts  bool          // answers break off behind their head: no proxy can hide that
}

func answering(m mode) func(*originProcess) { return func(o *originProcess) { o.set(m) } }

func restart(o *originProcess) {
	o.stop()
	o.start()
}

// injuries are in the order they are tried, the origins in turn.
func injuries() []injury {
	well := answering(mode{kind: modeOK})
	return []injury{
		{name: "killed", hurt: (*originProcess).kill, heal: (*originProcess).start},
		{name: "frozen", hurt: func(o *originProcess) { o.signal(syscall.SIGSTOP) }, heal: func(o *originProcess) { o.signal(syscall.SIGCONT) }},
		{name: "slow by 2 s", hurt: answering(mode{kind: modeSlow, delay: 2 * time.Second, checks: true}), heal: well},
		{name: "slow, checks well", hurt: answering(mode{kind: modeSlow, delay: 2 * time.Second}), heal: well},
		{name: "500, checks well", hurt: answering(mode{kind: modeStatus, status: 500}), heal: well},
		{name: "503", hurt: answering(mode{kind: modeStatus, status: 503, checks: true}), heal: well},
		{name: "503, checks well", hurt: answering(mode{kind: modeStatus, status: 503}), heal: well},
		{name: "restarted", hurt: restart, heal: func(*originProcess) {}, every: time.Second, quiet: true},
		{name: "resets", hurt: answering(mode{kind: modeReset}), heal: well},
		{name: "half heads", hurt: answering(mode{kind: modeHalfHead}), heal: well},
		{name: "half contents", hurt: answering(mode{kind: modeHalfContent}), heal: well, cuts: true},
	}
}

// run is one chaos run.
type run struct {
	t       *testing.T
	share   time.Duration // of each phase
	origins []*originProcess
	proxy   *proxy
	load    *load
	calm    *stage // between the phases
	healthy *phase
	reloads int
}

func TestChaos(t *testing.T) {
	length, rate := settings(t)
	c := &run{t: t}
	for i := range 3 {
		c.origins = append(c.origins, newOrigin(t, i))
		c.origins[i].start()
	}
	c.proxy = startProxy(t, c.origins)
	c.proxy.await("first verdicts", func() bool { return len(c.proxy.ailing()) == 0 })
	c.load = &load{address: c.proxy.http, rate: rate}
	all := injuries()
	c.share = length / time.Duration(len(all)+3)
	t.Logf("%d requests/s for about %v; a healthy p99 may grow by %v (one try), %v (the clock that ends it), %v (longest backoff) and twice how late the load itself was",
		rate, length, perTry, clockTick, backoffMax)

	ctx, stop := context.WithTimeout(t.Context(), 2*length+2*time.Minute)
	var tasks sync.WaitGroup
	defer func() { stop(); tasks.Wait() }()
	c.calm = c.begin("calm")
	tasks.Go(func() { c.load.run(ctx) })
	tasks.Go(func() { c.keepReloading(ctx) })
	time.Sleep(c.share / 2)

	c.tryHealthy()
	for i, in := range all {
		c.try(&in, c.origins[i%len(c.origins)])
	}
	c.tryAllDead()
	if ctx.Err() != nil {
		t.Error("the run took too long")
	}
	stop()
	tasks.Wait()
	c.wantAllGood(c.calm)
	t.Logf("%d requests between the phases; %d reloads under way", c.calm.requests(), c.reloads)
	c.endProxy()
}

// settings returns the length of the run and its rate, or skips the test.
func settings(t *testing.T) (time.Duration, int) {
	t.Helper()
	text := os.Getenv(chaosVariable)
	if text == "" {
		t.Skipf("it takes minutes: set %s=3m", chaosVariable)
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < 30*time.Second {
		t.Fatalf("%s=%q, want a duration of 30s or more", chaosVariable, text)
	}
	rate := rateDefault
	if text := os.Getenv(rateVariable); text != "" {
		if rate, err = strconv.Atoi(text); err != nil || rate < 1 {
			t.Fatalf("%s=%q, want requests a second", rateVariable, text)
		}
	}
	return length, rate
}

// keepReloading reloads a changed file about every second until ctx ends.
func (c *run) keepReloading(ctx context.Context) {
	for ctx.Err() == nil {
		if !c.proxy.reload() && ctx.Err() == nil {
			c.t.Errorf("reload %d didn't succeed", c.reloads+1)
			return
		}
		c.reloads++
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (c *run) endProxy() {
	c.proxy.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.proxy.ended:
	case <-time.After(patience):
		c.t.Fatal("the proxy doesn't end")
	}
	if code := c.proxy.cmd.ProcessState.ExitCode(); code != 0 {
		c.t.Errorf("exit code %d, want 0", code)
	}
	for _, word := range []string{"panic:", "goroutine ", "internal fault", "DATA RACE"} {
		if log := c.proxy.log.since(0); strings.Contains(log, word) {
			c.t.Errorf("the proxy logged %q: %s", word, tail(log[:strings.Index(log, word)+len(word)], 500))
		}
	}
}
