package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"sentinel/internal/config/schema"
	"sentinel/internal/observe/accesslog"
	"sentinel/internal/observe/journal"
	"sentinel/internal/observe/metric"
)

// logs are the event log and the access log of the process. Their outputs change with
// the configuration.
type logs struct {
	journal *journal.Journal
	access  *accesslog.Log
	native  bool // events go to journald unless the configuration says otherwise

	accessOut *journal.Output // nil while the access log is off
	stop      context.CancelFunc
	ended     sync.WaitGroup
}

// newLogs starts logs that write events to journald or standard error, as the process
// was started, until a configuration says otherwise.
func newLogs(m *metric.Registry) *logs {
	l := &logs{native: journal.StartedBySystemd(os.Getenv, os.Stderr)}
	events, err := l.open("", journal.EncodingText)
	if err != nil { // no journald after all
		l.native = false
		events = journal.To(os.Stderr, journal.EncodingText)
	}
	l.journal = journal.New(events, slog.LevelInfo)
	l.access = accesslog.New(accesslog.Options{
		Cells: m.Cells(), Events: events, Dropped: m.AccessLogDropped, Suppressed: m.EventsSuppressed,
	})
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.ended.Go(func() { l.access.Run(ctx) })
	return l
}

// open opens the output that a file name and an encoding stand for. Without a file, text
// goes to journald where that is right, and everything else to standard error.
func (l *logs) open(file string, e journal.Encoding) (*journal.Output, error) {
	switch {
	case file != "":
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return nil, fmt.Errorf("log file: %w", err)
		}
		return journal.OpenFile(file, e)
	case l.native && e == journal.EncodingText:
		return journal.OpenNative(journal.SocketPath)
	}
	return journal.To(os.Stderr, e), nil
}

// prepare opens what the configuration wants. Exactly one of the returned functions must
// be called.
func (l *logs) prepare(c *schema.Logging) (commit, abort func(), err error) {
	events, err := l.open(c.File.V, encodingOf(c.Format.V))
	if err != nil {
		return nil, nil, err
	}
	access, err := l.openAccess(c, events)
	if err != nil {
		events.Close()
		return nil, nil, err
	}
	commit = func() { l.set(levelOf(c.Level.V), events, access) }
	abort = func() { closeOutputs(events, access) }
	return commit, abort, nil
}

// openAccess opens the output of the access log: nil when it is off, events where the
// configuration tells no difference between the two.
func (l *logs) openAccess(c *schema.Logging, events *journal.Output) (*journal.Output, error) {
	a := &c.AccessLog
	format := c.Format.V
	if a.Format.IsSet() {
		format = a.Format.V
	}
	switch {
	case !a.Enabled.V:
		return nil, nil
	case a.File.V == "" && format == c.Format.V:
		return events, nil
	}
	return l.open(a.File.V, encodingOf(format))
}

func (l *logs) set(level slog.Level, events, access *journal.Output) {
	l.journal.SetLevel(level)
	l.access.SetLevel(level)
	oldEvents, oldAccess := l.journal.SetOutput(events), l.accessOut
	l.access.SetOutputs(access, events)
	l.accessOut = access
	closeOutputs(oldEvents, oldAccess)
}

// closeOutputs closes two outputs that may be one.
func closeOutputs(events, access *journal.Output) {
	if access != nil && access != events {
		access.Close()
	}
	events.Close()
}

// reopen opens the files anew, after they were rotated.
func (l *logs) reopen() error { return errors.Join(l.journal.Reopen(), l.access.Reopen()) }

// close writes what is held back.
func (l *logs) close() {
	l.stop()
	l.ended.Wait()
	closeOutputs(l.journal.Output(), l.accessOut)
}

func encodingOf(format string) journal.Encoding {
	if format == "json" {
		return journal.EncodingJSON
	}
	return journal.EncodingText
}

func levelOf(word string) slog.Level {
	switch word {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}
