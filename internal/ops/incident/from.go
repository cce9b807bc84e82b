package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/flight"
	"sentinel/internal/observe/series"
)

// From is where a snapshot comes from.
type From struct {
	Client     *admin.Client // of the running proxy
	Metrics    string        // URL of its metrics; empty without
	ConfigFile string
	StateDir   string
	Logs       []string // files of events and access log; none: the journal has them
	Unit       string   // of the journal
	Since      time.Duration
	More       []Source // that others know of, such as a diagnosis
	// Run runs a program and writes what it prints; nil runs it here.
	Run func(ctx context.Context, w io.Writer, name string, args ...string) error
}

// sources returns all of them.
func (f *From) sources() []Source {
	list := []Source{
		{"status.json", f.asked(func(ctx context.Context) (any, error) { return f.Client.Status(ctx) })},
		{"upstreams.json", f.asked(func(ctx context.Context) (any, error) { return f.Client.Upstreams(ctx, "") })},
		{"certificates.json", f.asked(func(ctx context.Context) (any, error) { return f.Client.Certificates(ctx) })},
		{"bans.json", f.asked(func(ctx context.Context) (any, error) { return f.Client.Bans(ctx) })},
		{"series.json", f.asked(func(ctx context.Context) (any, error) { return f.Client.Series(ctx, seriesWindow, series.Step) })},
		{"requests.json", f.asked(func(ctx context.Context) (any, error) { return f.Client.Flight(ctx, &flight.Query{Max: flightCount}) })},
		{"audit.json", f.asked(func(ctx context.Context) (any, error) { return f.Client.Audit(ctx, auditCount) })},
		{eventsName, f.asked(func(ctx context.Context) (any, error) { return f.Client.Events(ctx, 0) })},
		{"config-effective.kdl", f.effective},
		{"metrics.txt", f.metrics},
		{filepath.Base(f.ConfigFile), f.config},
		{"config-history.txt", f.history},
		{"sentinel.log", f.journal},
		{"profiles/goroutine.txt", f.profile("goroutine")},
		{"profiles/heap.pprof", f.profile("heap")},
		{"profiles/cpu.pprof", f.profile("cpu")},
	}
	for _, name := range admin.TopLists() {
		list = append(list, Source{"top-" + name + ".json", f.asked(func(ctx context.Context) (any, error) {
			return f.Client.Top(ctx, name, topWindow, topCount)
		})})
	}
	for _, path := range f.Logs {
		list = append(list, Source{"logs/" + filepath.Base(path), tailOf(path)})
	}
	list = append(list, f.More...)
	return append(list, f.system()...)
}

const (
	eventsName = "events.json"
	topWindow  = 5 * time.Minute
	topCount   = 100
	// seriesWindow is all that the series hold, flightCount and auditCount how many records are kept.
	seriesWindow = series.Kept * series.Step
	flightCount  = 1000
	auditCount   = 1000
	// logTailBytes is how much of the end of a log file is kept.
	logTailBytes = 16 << 20
	// configBytesMax bounds a file of a configuration, historyMax how many entries are kept.
	configBytesMax = 16 << 20
	historyMax     = 5
)

// asked writes an answer of the proxy.
func (f *From) asked(ask func(context.Context) (any, error)) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		answer, err := ask(ctx)
		if err != nil {
			return err
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(answer)
	}
}

func (f *From) effective(ctx context.Context, w io.Writer) error {
	c, err := f.Client.Config(ctx)
	if err != nil {
		return err
	}
	_, err = w.Write(MaskConfig("effective configuration", []byte(c.Text)))
	return err
}

func (f *From) metrics(ctx context.Context, w io.Writer) error {
	if f.Metrics == "" {
		return errors.New("the address of the metrics isn't known")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.Metrics, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", f.Metrics, resp.Status)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

func (f *From) config(_ context.Context, w io.Writer) error { return writeMasked(w, f.ConfigFile) }

func writeMasked(w io.Writer, path string) error {
	text, err := readAtMost(path, configBytesMax)
	if err != nil {
		return err
	}
	_, err = w.Write(MaskConfig(path, text))
	return err
}

// history writes the newest texts that served, one after the other.
func (f *From) history(_ context.Context, w io.Writer) error {
	dir := filepath.Join(f.StateDir, "config")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for i := len(entries) - 1; i >= max(0, len(entries)-historyMax); i-- {
		if strings.HasPrefix(entries[i].Name(), ".") {
			continue
		}
		err := filepath.WalkDir(filepath.Join(dir, entries[i].Name()), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "===== %s, %s\n", path, info.ModTime().UTC().Format(time.RFC3339))
			return writeMasked(w, path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// profile writes one of the proxy's profiles.
func (f *From) profile(kind string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error { return f.Client.Profile(ctx, kind, w) }
}

// counts returns what the proxy has answered so far; false when it doesn't say.
func (f *From) counts(ctx context.Context) (c Counts, ok bool) {
	s, err := f.Client.Status(ctx)
	if err != nil {
		return c, false
	}
	return CountsOf(&s, time.Now()), true
}

// Refresh adds the counts of now to a record that is open, without keeping them.
func (f *From) Refresh(ctx context.Context, r *Record) {
	if c, ok := f.counts(ctx); ok && r.Open() {
		r.Count(c)
	}
}

// Before remembers what the proxy had answered at the onset of an incident that is told of
// later, by the series; as far back as these go.
func (f *From) Before(ctx context.Context, r *Record, onset time.Time) {
	now, ok := f.counts(ctx)
	if !ok || !onset.Before(now.At) {
		return
	}
	window := min(now.At.Sub(onset).Round(series.Step), seriesWindow)
	w, err := f.Client.Series(ctx, max(window, series.Step), 0)
	if err != nil {
		return
	}
	then := Counts{At: w.From, Process: now.Process, Requests: now.Requests, Errors: now.Errors}
	for i := range w.Routes {
		then.Requests -= min(then.Requests, w.Routes[i].Now.Requests)
		then.Errors -= min(then.Errors, w.Routes[i].Now.Errors)
	}
	r.Count(then)
}

// CountsOf returns the counts of a status.
func CountsOf(s *admin.Status, at time.Time) Counts {
	c := Counts{At: at.UTC(), Process: s.Started.UTC()}
	for i := range s.Routes {
		c.Requests += s.Routes[i].Requests
		c.Errors += s.Routes[i].Errors
	}
	return c
}

// tailOf writes the end of a file, from the beginning of a line.
func tailOf(path string) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if skip := info.Size() - logTailBytes; skip > 0 {
			if _, err := f.Seek(skip, io.SeekStart); err != nil {
				return err
			}
		}
		_, err = io.Copy(w, io.LimitReader(f, logTailBytes))
		return err
	}
}

func readAtMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return text, err
}
