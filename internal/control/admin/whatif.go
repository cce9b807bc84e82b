package admin

import (
	"context"
	"net/http"
)

// WhatIfRequest asks what limits would have made of the last while.
type WhatIfRequest struct {
	Seconds int           `json:"seconds"` // the while, 1 to 300
	Limits  []WhatIfLimit `json:"limits,omitempty"`
	// Whole says that the limits are those of a whole configuration. Else those that serve
	// hold wherever the request names none.
	Whole       bool          `json:"whole,omitempty"`
	Connections []WhatIfBound `json:"connections,omitempty"`
}

// WhatIfLimit is a rate limit.
type WhatIfLimit struct {
	Listener  string   `json:"listener,omitempty"` // where it holds; neither: everywhere else
	Route     string   `json:"route,omitempty"`
	Name      string   `json:"name"`
	PerSecond int64    `json:"per_second,omitempty"` // one of the two rates
	PerMinute int64    `json:"per_minute,omitempty"`
	Burst     int64    `json:"burst"`
	Key       []string `json:"key"`
	IPv6Bits  int64    `json:"ipv6_prefix_bits"`
	Keys      int64    `json:"max_keys"`
	DelaySecs float64  `json:"delay_seconds,omitempty"` // how long a request may be held back
	OnlyNotes bool     `json:"only_notes,omitempty"`    // requests too many go on
	// Additional says that it holds beside the limits that hold otherwise.
	Additional bool `json:"additional,omitempty"`
}

// WhatIfBound is a bound of connections or of requests in progress.
type WhatIfBound struct {
	Listener string `json:"listener,omitempty"` // none: the process
	Key      string `json:"key"`                // as in the configuration
	Limit    int64  `json:"limit"`
}

// WhatIf is the answer.
type WhatIf struct {
	Seconds     float64             `json:"seconds"`  // that are remembered, up to what was asked for
	Requests    int                 `json:"requests"` // in them
	Limits      []WhatIfAnswer      `json:"limits"`
	Connections []WhatIfBoundAnswer `json:"connections"`
}

// WhatIfAnswer is what one limit would have done. Refused and Delayed together are right to
// within Margin.
type WhatIfAnswer struct {
	WhatIfLimit
	Unknown  string         `json:"unknown,omitempty"` // why it can't be told
	Requests int            `json:"requests"`
	Refused  int            `json:"refused"`
	Delayed  int            `json:"delayed"`
	Margin   int            `json:"margin"`
	Clients  int            `json:"clients"`
	Hit      int            `json:"clients_hit"`
	Worst    []WhatIfClient `json:"worst,omitempty"`
}

// WhatIfClient is one client that a limit would have hit.
type WhatIfClient struct {
	Client   string `json:"client"`
	Requests int    `json:"requests"`
	Refused  int    `json:"refused"` // or delayed
}

// WhatIfBoundAnswer is what was held against a bound.
type WhatIfBoundAnswer struct {
	WhatIfBound
	Unknown string `json:"unknown,omitempty"` // why it can't be told
	Now     int64  `json:"now"`               // of one client: of the one that has most
	Peak    int64  `json:"peak,omitempty"`    // looked at once a second
	Over    int    `json:"seconds_over,omitempty"`
	Clients int    `json:"clients_over,omitempty"` // now
	Excess  int64  `json:"excess,omitempty"`       // connections above the bound, now
	Largest string `json:"largest,omitempty"`      // the client that has most
}

// WhatIfs answer what limits would have done. Its method is called from any goroutine; an
// error is a *Problem where the request is at fault.
type WhatIfs interface {
	WhatIf(q WhatIfRequest, by Actor) (WhatIf, error)
}

// AddWhatIf lets the API answer what limits would have done. It is called before Serve.
func (s *Server) AddWhatIf(w WhatIfs) {
	s.read("POST /admin/what-if", func(rw http.ResponseWriter, r *http.Request) { change(rw, r, w.WhatIf) })
}

// WhatIf asks what limits would have done.
func (c *Client) WhatIf(ctx context.Context, q WhatIfRequest) (w WhatIf, err error) {
	return w, c.call(ctx, http.MethodPost, "/admin/what-if", q, &w)
}
