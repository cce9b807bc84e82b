// Package overview puts together what somebody wants to see at a glance of a running proxy:
// one Frame for each look. The terminal view and the console show the same.
package overview

import (
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

// What a frame holds at most of each.
const (
	routesMax  = 200
	faultsMax  = 50
	clientsMax = 20
	eventsMax  = 100
	bansMax    = 200
)

// History is how far back the points of a frame go; Recent is what its shares and latencies
// are over.
const (
	History = 10 * time.Minute
	Recent  = time.Minute
)

// Frame is one look. Texts that clients have chosen are in Clients only; they and all others
// are escaped by who shows them.
type Frame struct {
	At      time.Time     `json:"at"`
	Who     admin.Actor   `json:"who"` // who looks
	Version string        `json:"version"`
	Process Process       `json:"process"`
	Now     Rates         `json:"now"`
	Points  []Point       `json:"points"` // the oldest first
	Routes  []Route       `json:"routes"`
	Faults  []Fault       `json:"faults"` // the most frequent first
	Upstr   []Upstream    `json:"upstreams"`
	Clients admin.Top     `json:"clients"`
	Events  []event.Event `json:"events"` // the newest first
	Bans    []admin.Ban   `json:"bans"`
	Missing []string      `json:"missing,omitempty"` // what couldn't be had, and why
}

// Process is the state of the process.
type Process struct {
	State       string         `json:"state"`
	Ready       bool           `json:"ready"`
	Reasons     []string       `json:"reasons,omitempty"` // why it isn't ready
	Generation  uint64         `json:"generation"`
	Uptime      float64        `json:"uptime_seconds"`
	LastReload  *admin.Outcome `json:"last_reload,omitempty"`
	Connections int64          `json:"connections"`
	Limit       int64          `json:"connections_limit"` // 0 is none
}

// Rates are over the time since the last look, latencies over Recent. Worst names the route
// whose P99 it is.
type Rates struct {
	Requests float64 `json:"requests_per_second"`
	Errors   float64 `json:"errors_per_second"`  // answers of 5xx
	Refused  float64 `json:"refused_per_second"` // answers of 4xx, over Recent
	P50      float64 `json:"p50_millis"`         // of the route with most requests
	P99      float64 `json:"p99_millis"`         // of the route that is slowest
	Busiest  string  `json:"busiest,omitempty"`
	Worst    string  `json:"worst,omitempty"`
}

// Point is ten seconds of the process.
type Point struct {
	At       time.Time `json:"at"` // its end
	Requests float64   `json:"requests_per_second"`
	Errors   float64   `json:"errors_per_second"`
	P99      float64   `json:"p99_millis"` // of the route that was slowest
}

// Route is a route over Recent.
type Route struct {
	Name       string    `json:"name"`
	Target     string    `json:"target"`
	Requests   float64   `json:"requests_per_second"`
	Errors     float64   `json:"errors_per_second"`
	ErrorShare float64   `json:"error_share"` // 0 to 1
	P50        float64   `json:"p50_millis"`
	P99        float64   `json:"p99_millis"`
	Points     []float64 `json:"points"` // requests a second, as in Frame.Points
}

// Fault is a cause of failure on a route.
type Fault struct {
	Route  string    `json:"route"`
	Fault  string    `json:"fault"`
	Side   string    `json:"side"`
	Recent uint64    `json:"recent"` // within Recent
	Count  uint64    `json:"count"`  // within History
	Last   time.Time `json:"last"`
}

// Upstream is an upstream with its targets.
type Upstream struct {
	admin.UpstreamStatus
	Usable  int    `json:"usable"`  // how many targets take requests
	Trouble string `json:"trouble"` // in a few words; "" is none
}
