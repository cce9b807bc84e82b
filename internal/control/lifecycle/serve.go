package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/kdl"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/accesslog"
	"sentinel/internal/observe/journal"
	"sentinel/internal/observe/metric"
)

// sweepEvery is how often what lives on is swept.
const sweepEvery = 5 * time.Second

// cells is the number of metric cells that connections are spread over.
const cells = 8

// assembly is the data plane with what it stands on; it is the Engine of the process.
type assembly struct {
	*exchange.Proxy
	clock   *netio.Clock
	metrics *metric.Registry
	live    *compile.Live
	log     *accesslog.Log
	events  *journal.Journal
	outputs atomic.Pointer[outputs]
}

// Run assembles a proxy for the configuration at path and serves until ctx ends or a
// signal asks to stop.
func Run(ctx context.Context, path string, v admin.Version) error {
	clock := netio.NewClock()
	defer clock.Stop()
	state := &State{}
	a := &assembly{clock: clock, metrics: metric.New(metric.Options{Cells: cells, Version: v.Version})}
	a.events = journal.New(defaultEvents(journal.EncodingText), slog.LevelInfo)
	a.log = accesslog.New(accesslog.Options{Cells: cells, Events: a.events.Output(),
		Dropped: a.metrics.AccessLogDropped, Suppressed: a.metrics.EventsSuppressed})
	a.live = compile.NewLive(clock, a.metrics)
	log := a.events.Logger()
	a.Proxy = exchange.New(exchange.Options{Clock: clock, Cells: cells, Log: a.log,
		NotReady: func() []string { return nonEmpty(state.reason()) },
		Panicked: func(v any) { tellPanic(log, v, debug.Stack()) }})
	registry := listen.NewRegistry(a.listenOptions(log))
	p := New(Options{ConfigFile: path, Log: log, Engine: a, Metrics: scrapeOf(a.metrics), Registry: registry, Version: v,
		Reopen: a.reopen, NotReady: a.trafficNotReady, Traffic: func() []RouteCount { return trafficOf(a.metrics) }, State: state})
	side, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go a.run(side, done)
	err := p.Run(ctx)
	stop()
	<-done
	a.live.Close()
	return err
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func tellPanic(log *slog.Logger, v any, stack []byte) {
	log.Error("a request failed by a fault of this proxy", "error", "internal fault", "detail", fmt.Sprint(v), "stack", string(stack))
}

func (a *assembly) listenOptions(log *slog.Logger) listen.Options {
	return listen.Options{
		Clock: a.clock, Handler: a,
		Refused: func(l *listen.Listener, k fault.Kind) { a.metrics.Unrouted().Fault(k) },
		AcceptFailed: func(l *listen.Listener, err error) {
			log.Warn("connections can't be accepted", "listener", l.Name(), "detail", err.Error())
		},
		Panicked: func(v any, stack []byte) { tellPanic(log, v, stack) },
	}
}

// run does what goes on beside the traffic until ctx ends.
func (a *assembly) run(ctx context.Context, done chan struct{}) {
	defer close(done)
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		a.log.Run(ctx)
	}()
	go a.metrics.Run(ctx)
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			<-logged
			return
		case <-t.C:
			a.live.Sweep()
		}
	}
}

// trafficNotReady is NotReady without what the state of the process says.
func (a *assembly) trafficNotReady() []string {
	if a.Current() == nil {
		return nil
	}
	return a.TargetsNotReady()
}

// reopen opens the log files anew.
func (a *assembly) reopen() error { return errors.Join(a.log.Reopen(), a.events.Reopen()) }

// Load implements Engine.
func (a *assembly) Load(path string) (*Loaded, error) {
	cfg, sources, diags := schema.Load(path, schema.Options{})
	if !diags.HasErrors() {
		_, _, more := compile.Build(cfg, a.live, nil)
		diags = append(diags, more...)
	}
	if diags.HasErrors() {
		return nil, configError(diags, sources)
	}
	return &Loaded{
		Settings: settingsOf(cfg), Notes: notesOf(diags), Sources: sourcesOf(sources),
		Routes: routesOf(cfg), Upstreams: upstreamsOf(cfg),
		Show:  func() string { return string(schema.Show(cfg)) },
		Build: func(slot func(string) int) (func(), error) { return a.build(cfg, sources, slot) },
	}, nil
}

func (a *assembly) build(cfg *schema.Config, sources *schema.Sources, slot func(string) int) (func(), error) {
	outs, err := openOutputs(&cfg.Observability.Logging, a.outputs.Load())
	if err != nil {
		return nil, err
	}
	snap, commit, diags := compile.Build(cfg, a.live, slot)
	if diags.HasErrors() {
		return nil, configError(diags, sources)
	}
	return func() {
		a.Swap(snap)
		commit()
		a.metrics.SetMaxConnections(int(cfg.Limits.MaxConnections.V))
		a.install(outs)
	}, nil
}

// Check reads and compiles the configuration at path as a start would.
func Check(path string) (*Loaded, error) {
	clock := netio.NewClock()
	defer clock.Stop()
	m := metric.New(metric.Options{Cells: 1})
	a := &assembly{clock: clock, metrics: m, live: compile.NewLive(clock, m)}
	return a.Load(path)
}

// configError gathers diagnostics for logs and for people.
func configError(diags kdl.Diagnostics, sources *schema.Sources) *ConfigError {
	e := &ConfigError{Kind: "validation error"}
	for _, d := range diags {
		if d.Severity != kdl.Error {
			continue
		}
		message, parse := strings.CutPrefix(d.Message, "parse error: ")
		if parse {
			e.Kind = "parse error"
		}
		e.Lines = append(e.Lines, fmt.Sprintf("%s:%d:%d: %s", d.File, d.Span.Start.Line, d.Span.Start.Column, message))
	}
	e.Report = string(diags.AppendText(nil, sources.Text))
	return e
}

func notesOf(diags kdl.Diagnostics) []string {
	var notes []string
	for _, d := range diags {
		note := fmt.Sprintf("%s:%d:%d: %s", d.File, d.Span.Start.Line, d.Span.Start.Column, d.Message)
		for _, r := range d.Related {
			note += fmt.Sprintf(" (%s:%d:%d)", r.File, r.Span.Start.Line, r.Span.Start.Column)
		}
		notes = append(notes, note)
	}
	return notes
}

func sourcesOf(s *schema.Sources) []Source {
	var out []Source
	for _, name := range s.Names {
		out = append(out, Source{Path: name, Text: s.Texts[name]})
	}
	return out
}

// outputs are the files and sockets that logs go to.
type outputs struct {
	eventsKey, accessKey string
	events, access       *journal.Output // access is nil when the access log is off
	level                slog.Level
}

// defaultEvents returns where events go unless a file is named: journald when the process
// was started by it, else standard error.
func defaultEvents(e journal.Encoding) *journal.Output {
	if journal.Native() {
		if o, err := journal.OpenNative(journal.SocketPath); err == nil {
			return o
		}
	}
	return journal.To(os.Stderr, e)
}

// openOutputs opens what the configuration names and keeps what is open already.
func openOutputs(l *schema.Logging, have *outputs) (*outputs, error) {
	if have == nil {
		have = &outputs{}
	}
	next := &outputs{eventsKey: l.Format.V + " " + l.File.V}
	if err := next.level.UnmarshalText([]byte(l.Level.V)); err != nil {
		return nil, err
	}
	var err error
	if next.events = have.events; next.eventsKey != have.eventsKey {
		if next.events, err = openOutput(l.File.V, l.Format.V); err != nil {
			return nil, err
		}
	}
	if !l.AccessLog.Enabled.V {
		return next, nil
	}
	format := l.AccessLog.Format.V
	if format == "" {
		format = l.Format.V
	}
	file := l.AccessLog.File.V
	next.accessKey = format + " " + file
	switch {
	case file == "" && next.accessKey == l.Format.V+" ":
		next.access = next.events
	case next.accessKey == have.accessKey:
		next.access = have.access
	default:
		next.access, err = openOutput(file, format)
	}
	return next, err
}

func openOutput(file, format string) (*journal.Output, error) {
	e := journal.EncodingText
	if format == "json" {
		e = journal.EncodingJSON
	}
	if file == "" {
		return defaultEvents(e), nil
	}
	return journal.OpenFile(file, e)
}

// install makes o where logs go and closes what nothing writes to any more.
func (a *assembly) install(o *outputs) {
	old := a.outputs.Swap(o)
	a.events.SetLevel(o.level)
	a.events.SetOutput(o.events)
	a.log.SetOutputs(o.access, o.events)
	if old == nil {
		return
	}
	for _, c := range []io.Closer{closer(old.events, o), closer(old.access, o)} {
		if c != nil {
			c.Close()
		}
	}
}

// closer returns out unless o still uses it.
func closer(out *journal.Output, o *outputs) io.Closer {
	if out == nil || out == o.events || out == o.access {
		return nil
	}
	return out
}
