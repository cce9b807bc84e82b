package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// sample is one measured round of one proxy.
type sample struct {
	Scenario          string  `json:"scenario"`
	Conns             int     `json:"conns"`
	Proxy             string  `json:"proxy"`
	Round             int     `json:"round"`
	Requests          int64   `json:"requests"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	ProxyMicros       float64 `json:"proxyMicros"`   // CPU of the proxy per request
	SideMicros        float64 `json:"sideMicros"`    // CPU of load, origin and log sink per request
	MachineMicros     float64 `json:"machineMicros"` // CPU of the whole machine per request
	P50Micros         float64 `json:"p50Micros"`
	P99Micros         float64 `json:"p99Micros"`
	ProxyCores        float64 `json:"proxyCores"`  // cores the proxy kept busy
	OthersCores       float64 `json:"othersCores"` // cores kept busy by nothing of ours
	LogLines          int64   `json:"logLines,omitempty"`
}

// bench measures one scenario: its proxies run side by side, loaded in turn.
type bench struct {
	options
	scenario scenario
	dir      string // temporary, of this scenario
	origin   *child
	sink     *logSink
	running  []runningPeer
	samples  []sample
}

type runningPeer struct {
	peer
	place place
	child *child
}

// measure runs every case of the scenario and keeps the samples. The error
// joins what could not be measured; everything else has been.
func (b *bench) measure(ctx context.Context, chosen []peer) error {
	defer b.stop()
	if err := b.startSides(ctx, chosen[0]); err != nil {
		return err
	}
	var failures []error
	for _, p := range chosen {
		if err := b.startPeer(ctx, p); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", b.scenario.name, err))
		}
	}
	script := filepath.Join(b.dir, "load.lua")
	if err := os.WriteFile(script, []byte(b.scenario.loadScript()), 0o644); err != nil {
		return err
	}
	for _, conns := range b.connections(b.scenario) {
		failures = append(failures, b.measureCase(ctx, script, conns))
	}
	return errors.Join(failures...)
}

// measureCase runs all rounds with one number of connections. A proxy that
// fails in one round loses its samples of the case and sits out the others.
func (b *bench) measureCase(ctx context.Context, script string, conns int) error {
	var failures []error
	order := slices.Clone(b.running)
	for round := range b.rounds + 1 { // round 0 warms up
		for _, p := range slices.Clone(order) {
			err := b.round(ctx, p, script, conns, round)
			if err == nil {
				continue
			}
			failures = append(failures, fmt.Errorf("%s, %d connections, %s: %w", b.scenario.name, conns, p.name, err))
			order = slices.DeleteFunc(order, func(r runningPeer) bool { return r.name == p.name })
			b.samples = slices.DeleteFunc(b.samples, func(s sample) bool { return s.Proxy == p.name && s.Conns == conns })
		}
		slices.Reverse(order)
	}
	return errors.Join(failures...)
}

// startSides brings up what stands on the load's core: the origin and, where
// the scenario logs, the log sink.
func (b *bench) startSides(ctx context.Context, p peer) error {
	if err := b.startOrigin(ctx); err != nil || !b.scenario.Log {
		return err
	}
	address := p.place(b.options, b.dir, b.scenario.settings).LogSink
	sink, err := startLogSink(address, filepath.Join(b.dir, "sink.log"))
	b.sink = sink
	return err
}

func (b *bench) startOrigin(ctx context.Context) error {
	address := fmt.Sprintf("%s:%d", host, b.basePort)
	c, err := startChild("origin", b.dir, b.loadCore, nil, filepath.Join(b.out, "origin"), "-listen", address,
		"-also", strconv.Itoa(b.scenario.TargetCount))
	if err != nil {
		return err
	}
	b.origin = c
	return c.awaitOK(ctx, settings{}.client(), "http://"+address+b.scenario.path)
}

func (b *bench) startPeer(ctx context.Context, p peer) error {
	at := p.place(b.options, b.dir, b.scenario.settings)
	argv, err := p.writeConfig(at)
	if err != nil {
		return err
	}
	env := p.env
	if b.profile != "" && p.name == sentinel {
		env = append(slices.Clone(env), "SENTINEL_PPROF="+b.profile)
	}
	c, err := startChild(p.name, b.dir, b.proxyCore, env, argv...)
	if err != nil {
		return err
	}
	if err := c.awaitOK(ctx, at.client(), at.scheme()+at.Listen+b.scenario.path); err != nil {
		c.stop()
		return err
	}
	b.running = append(b.running, runningPeer{peer: p, place: at, child: c})
	return nil
}

// stop ends everything that was started, also after a failure half way.
func (b *bench) stop() {
	for _, p := range b.running {
		p.child.stop()
	}
	b.running = nil
	if b.origin != nil {
		b.origin.stop()
		b.origin = nil
	}
	if b.sink != nil {
		b.sink.stop()
		b.sink = nil
	}
}

// round loads p once and, unless it is the warm-up, keeps the sample.
func (b *bench) round(ctx context.Context, p runningPeer, script string, conns, round int) error {
	b.awaitQuiet(ctx)
	lines, err := b.logLines(p)
	if err != nil {
		return err
	}
	before, err := b.readClocks(p)
	if err != nil {
		return err
	}
	d := b.duration
	if round == 0 {
		d = b.warmup
	}
	l, err := b.load(ctx, script, p.place.scheme()+p.place.Listen+b.scenario.path, conns, d)
	if err != nil {
		return err
	}
	after, err := b.readClocks(p)
	if err != nil {
		return err
	}
	if err := l.failure(); err != nil || round == 0 {
		return err
	}
	s := newSample(l, before, after)
	s.Scenario, s.Conns, s.Proxy, s.Round = b.scenario.name, conns, p.name, round
	if s.LogLines, err = b.newLogLines(ctx, p, lines, l.Requests); err != nil {
		return err
	}
	b.samples = append(b.samples, s)
	fmt.Fprintf(os.Stderr, "%s %d round %d %-14s %8.2f us/request %8.0f requests/s, others %.2f cores\n",
		s.Scenario, s.Conns, s.Round, s.Proxy, s.ProxyMicros, s.RequestsPerSecond, s.OthersCores)
	return nil
}

// load has the generator of the scenario send requests for d.
func (b *bench) load(ctx context.Context, script, url string, conns int, d time.Duration) (load, error) {
	if b.scenario.streams > 0 {
		return runStreams(ctx, b.loadCore, url, conns, b.scenario.streams, d)
	}
	return runLoad(ctx, b.loadCore, script, url, conns, d)
}

// clocks are the CPU clocks around a round.
type clocks struct {
	machine machineClock
	proxy   time.Duration
	side    time.Duration // origin and this process, which holds the log sink
}

func (b *bench) readClocks(p runningPeer) (clocks, error) {
	var c clocks
	var err error
	if c.machine, err = readMachineClock(); err != nil {
		return c, err
	}
	if c.proxy, err = treeCPU(p.child.pid()); err != nil {
		return c, err
	}
	origin, err := processCPU(b.origin.pid())
	if err != nil {
		return c, err
	}
	self, err := processCPU(os.Getpid())
	c.side = origin + self
	return c, err
}

func newSample(l load, before, after clocks) sample {
	proxy := after.proxy - before.proxy
	side := after.side - before.side + l.cpu
	busy := after.machine.busySince(before.machine)
	wall := after.machine.at.Sub(before.machine.at)
	perRequest := func(d time.Duration) float64 { return float64(d) / 1e3 / float64(l.Requests) }
	return sample{
		Requests:          l.Requests,
		RequestsPerSecond: float64(l.Requests) * 1e6 / float64(l.Micros),
		ProxyMicros:       perRequest(proxy),
		SideMicros:        perRequest(side),
		MachineMicros:     perRequest(busy),
		P50Micros:         l.P50,
		P99Micros:         l.P99,
		ProxyCores:        proxy.Seconds() / wall.Seconds(),
		OthersCores:       max(0, (busy-proxy-side).Seconds()/wall.Seconds()),
	}
}

// awaitQuiet waits until the machine is nearly idle, for at most b.quiet.
func (b *bench) awaitQuiet(ctx context.Context) {
	const (
		look      = 200 * time.Millisecond
		quietLoad = 0.10 // cores
	)
	for end := time.Now().Add(b.quiet); time.Now().Before(end) && ctx.Err() == nil; {
		before, err := readMachineClock()
		if err != nil {
			return
		}
		time.Sleep(look)
		after, err := readMachineClock()
		if err != nil || after.busySince(before).Seconds() < quietLoad*after.at.Sub(before.at).Seconds() {
			return
		}
	}
}
