package lifecycle

import (
	"log/slog"
	"net/http"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
	"sentinel/internal/control/override"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

// Engine carries traffic by the configuration that was last committed.
type Engine interface {
	listen.Handler
	// Load reads and checks the configuration at path; texts, unless nil, are read in place
	// of its files. Its error is a *ConfigError where the text is at fault.
	Load(path string, texts []Source) (*Loaded, error)
}

// Loaded is a configuration that was read and checked but doesn't serve yet.
type Loaded struct {
	Settings  Settings
	Notes     []string // what the operator should know though nothing is wrong
	Sources   []Source // the texts it was made from, the main file first
	Globs     []string // the patterns that its includes were found by
	Routes    []admin.Route
	Upstreams []admin.Upstream
	// Show returns the effective configuration as text.
	Show func() string
	// Build makes what serves the configuration. slot gives the slot of each listener.
	// Nothing is felt until commit is called, which can't fail; abort gives up instead.
	Build func(slot func(listener string) int) (commit, abort func(), err error)

	config *schema.Config // nil in tests
	laid   []schema.Laid  // over the sources
	// effects are what became of the overrides.
	effects []override.Effect
}

// changesTo says what changes for the traffic when next follows, a line each.
func (l *Loaded) changesTo(next *Loaded) []string {
	if l == nil || l.config == nil || next.config == nil {
		return nil
	}
	return schema.Diff(l.config, next.config)
}

// Settings are what the process itself takes from a configuration.
type Settings struct {
	PIDFile         string
	StateDir        string
	AdminSocket     string
	Admin           adminSettings
	Workers         int   // 0 is one for each CPU
	MemoryMax       int64 // bytes; 0 is what the cgroup allows
	ShutdownTimeout time.Duration
	Listeners       listen.Plan
	MetricsAddress  string
	MetricsAt       string // where it stands in the configuration
	MetricsPath     string
	Incidents       IncidentSettings
	KernelBans      KernelBans
	Regression      Regression
}

// KernelBans says whether the kernel keeps banned clients out.
type KernelBans struct {
	On, Required bool
	At           string // where it stands in the configuration
}

// IncidentSettings are how records of incidents are kept.
type IncidentSettings struct {
	Automatic bool
	Folder    string
	Keep      int
	Logs      []string // files of events and of the access log; none: the journal has them
}

// Source is one text of a configuration.
type Source = history.Source

// ConfigError is a configuration that can't be used.
type ConfigError struct {
	// Kind is "parse error", "validation error" or "read error".
	Kind string
	// Lines has one line for each problem, with file:line:column.
	Lines []string
	// Report is the same for people, with the lines of the text.
	Report string
}

// Error returns the kind and the first problem.
func (e *ConfigError) Error() string {
	if len(e.Lines) == 0 {
		return e.Kind
	}
	return e.Kind + ": " + e.Lines[0]
}

// Metrics are told of what serves; *metric.Registry is one.
type Metrics interface {
	ConfigLoaded(now time.Time, generation uint64)
	ReloadSucceeded(now time.Time, generation uint64)
	ReloadFailed()
}

// Safety is told of configurations that are taken back; *metric.Registry is one.
type Safety interface {
	ConfigRolledBack(metric.Rollback)
	SetConfigPending(bool)
	SetConfigFilesServe(bool)
}

// RouteCount is how many requests a route has answered since the start, and how many of
// them with a 5xx status.
type RouteCount struct {
	Route            string
	Requests, Errors uint64
}

// KernelBanner has the kernel keep banned clients out.
type KernelBanner interface {
	// Possible returns why settings that require it can't be met; nil where they can.
	Possible(s *Settings) error
	// Serve is told of settings that serve from now on, once their listeners are bound.
	Serve(s *Settings)
}

// Options are what a Process is made of.
type Options struct {
	ConfigFile string
	Log        *slog.Logger
	Engine     Engine
	Metrics    Metrics
	// Scrape returns what answers on the metrics listener: the metrics at path and 404
	// elsewhere.
	Scrape   func(path string) http.Handler
	Registry *listen.Registry // with Engine as its handler
	Version  admin.Version
	// Reopen opens the log files anew.
	Reopen func() error
	// NotReady returns why traffic should not come here, the state's own reasons included.
	NotReady func() []string
	// Traffic returns the counts of each route; may be nil.
	Traffic func() []RouteCount
	// Upstreams and Events are what the admin API shows of upstreams; may be nil.
	Upstreams admin.Upstreams
	Events    admin.Events
	// Record keeps an event that has a log line of its own; may be nil.
	Record func(event.Event)
	// Emit keeps an event and logs it; may be nil.
	Emit func(event.Event)
	// Routes returns what each route has counted; may be nil.
	Routes func() []metric.RouteReading
	// Safety is told of configurations that are taken back; may be nil.
	Safety Safety
	// FallbackLastGood has a start whose configuration is broken go on with the last known
	// good one.
	FallbackLastGood bool
	// Talkers are who the admin API shows to have most requests; may be nil.
	Talkers admin.Talkers
	// Series is what the admin API shows of the last hour; may be nil.
	Series admin.Series
	// Explain says what a request would meet; may be nil.
	Explain func(admin.ExplainRequest) (admin.Explanation, error)
	// SignLive makes a token by which a request asks to be kept; may be nil.
	SignLive func(expires time.Time) string
	// Flight is what the admin API shows of single requests; may be nil.
	Flight admin.Flight
	// WhatIf answers what limits would have done; may be nil.
	WhatIf admin.WhatIfs
	// Bans are what the admin API shows, makes and lifts; may be nil.
	Bans admin.Bans
	// KernelBans has the kernel keep banned clients out; may be nil.
	KernelBans KernelBanner
	// Overrides are what the admin API shows, makes and ends, and commits by the process; may
	// be nil.
	Overrides *override.Keeper
	// SetGeneration is told of a generation that no reload has made; may be nil.
	SetGeneration func(n uint64)
	// Certificates are what the admin API shows to be in use; may be nil.
	Certificates admin.Certificates
	// SetMemoryBudget makes a budget of that many bytes hold; 0 is none. May be nil.
	SetMemoryBudget func(bytes int64)
	// Inherited are sockets that the process was started with; may be nil.
	Inherited *listen.Inherited
	// Before is the process that this one replaces; nil for none.
	Before *predecessor
	// Binary is the program that an upgrade starts.
	Binary string
	// Hanging says what of the data plane has hung since the last call; may be nil.
	Hanging func() []string
	// State is where the process tells its state.
	State *State
}
