package admin

import "time"

// Version says what runs.
type Version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"` // such as "linux/amd64"
}

// The states of a process.
const (
	StateStarting = "starting"
	StateServing  = "serving"
	StateDraining = "draining"
)

// Status is how the process is doing.
type Status struct {
	Version       string     `json:"version"`
	PID           int        `json:"pid"`
	Started       time.Time  `json:"started"`
	UptimeSeconds float64    `json:"uptime_seconds"`
	State         string     `json:"state"`
	Ready         bool       `json:"ready"`
	Reasons       []string   `json:"reasons,omitempty"` // why it isn't ready
	ConfigFile    string     `json:"config_file"`
	Generation    uint64     `json:"generation"` // 1 after the start, one more with each reload
	LastReload    *Outcome   `json:"last_reload,omitempty"`
	Metrics       string     `json:"metrics"`         // address of the metrics listener
	Admin         string     `json:"admin,omitempty"` // address of the admin API for other machines
	Connections   int64      `json:"connections"`
	Limit         int64      `json:"connections_limit"` // 0 is none
	Listeners     []Listener `json:"listeners"`
	Overrides     []Override `json:"overrides,omitempty"` // emergency changes that hold, or are without effect
	Routes        []Route    `json:"routes"`
	Upstreams     []Upstream `json:"upstreams"`
	ConfigState
}

// Outcome is how one reload went.
type Outcome struct {
	At         time.Time `json:"at"`
	OK         bool      `json:"ok"`
	Generation uint64    `json:"generation"` // the one that serves afterwards
	Cause      string    `json:"cause"`      // what asked for it: "SIGHUP", "admin", "rollback to 3"
	By         *Actor    `json:"by,omitempty"`
	Error      string    `json:"error,omitempty"`
	Details    []string  `json:"details,omitempty"` // one line per problem, with its place
	Notes      []string  `json:"notes,omitempty"`   // what the operator should know of a success
}

// Listener is one listener.
type Listener struct {
	Name        string   `json:"name"`
	Addresses   []string `json:"addresses"`
	Connections int64    `json:"connections"`
	Limit       int64    `json:"connections_limit"` // 0 is none
	Refused     uint64   `json:"refused"`
	Draining    bool     `json:"draining,omitempty"`
}

// Route is one route with its traffic. Errors are answers with a 5xx status.
type Route struct {
	Name              string  `json:"name"`
	Priority          int64   `json:"priority"`
	Target            string  `json:"target"` // what it does, in words: `upstream "api"`
	Requests          uint64  `json:"requests"`
	Errors            uint64  `json:"errors"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	ErrorsPerSecond   float64 `json:"errors_per_second"`
}

// Upstream is one upstream.
type Upstream struct {
	Name    string   `json:"name"`
	Targets []Target `json:"targets"`
}

// Target is one server of an upstream.
type Target struct {
	Address string `json:"address"`
	Weight  int64  `json:"weight"`
	State   string `json:"state"` // as in TargetStatus, with its breaker's where that isn't closed
}

// Config is the effective configuration.
type Config struct {
	File       string `json:"file"`
	Generation uint64 `json:"generation"`
	Text       string `json:"text"` // KDL with the origin of each value
}
