package admin

import (
	"context"
	"net/http"
	"time"
)

// The kinds of overrides.
const (
	OverrideLimits    = "limits"
	OverrideRateLimit = "rate-limit"
	OverrideTimeouts  = "timeouts"
	OverrideChallenge = "challenge"
	OverrideDisable   = "disable-route"
	OverrideFallback  = "fallback"
)

// OverrideKinds returns all kinds.
func OverrideKinds() []string {
	return []string{OverrideLimits, OverrideRateLimit, OverrideTimeouts, OverrideChallenge, OverrideDisable, OverrideFallback}
}

// Setting is one key of the configuration and its value, as an operator would write it.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Override is one emergency change: what it lays over the configuration, by whom and until
// when. It is kept in a file as it is shown.
type Override struct {
	ID       int       `json:"id"`
	Kind     string    `json:"kind"`
	Listener string    `json:"listener,omitempty"` // where it holds; none of the three: everywhere
	Route    string    `json:"route,omitempty"`
	Upstream string    `json:"upstream,omitempty"`
	Settings []Setting `json:"settings"`
	Text     string    `json:"text"` // the same as KDL
	By       Actor     `json:"by"`
	Reason   string    `json:"reason,omitempty"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	// Idle says why it is without effect; empty while it holds.
	Idle string `json:"without_effect,omitempty"`
}

// OverrideRequest asks for an override.
type OverrideRequest struct {
	Kind     string    `json:"kind"`
	Listener string    `json:"listener,omitempty"`
	Route    string    `json:"route,omitempty"`
	Upstream string    `json:"upstream,omitempty"`
	Settings []Setting `json:"settings,omitempty"`
	Seconds  int64     `json:"seconds"` // for how long
	Reason   string    `json:"reason,omitempty"`
	DryRun   bool      `json:"dry_run,omitempty"` // only check it, and say what it would have hit
}

// OverrideResult says what an override has changed, or would change.
type OverrideResult struct {
	Override Override `json:"override"`
	DryRun   bool     `json:"dry_run,omitempty"`
	Changes  []string `json:"changes"`         // for traffic, a line each
	Notes    []string `json:"notes,omitempty"` // what the operator should know
	// Hits is what it would have hit; only of a dry run.
	Hits *OverrideHits `json:"would_have_hit,omitempty"`
	Undo string        `json:"undo,omitempty"`
}

// OverrideHits are the requests of the last while that an override is about.
type OverrideHits struct {
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"` // that came where it would hold
	Clients  int     `json:"clients"`
	// WhatIf is what its limits would have made of them; nil where it has none.
	WhatIf *WhatIf `json:"what_if,omitempty"`
	// Challenged are the clients that would have been challenged.
	Challenged int `json:"clients_challenged,omitempty"`
	// Unknown says what can't be told.
	Unknown string `json:"unknown,omitempty"`
}

// ExtendRequest gives an override a new end, counted from now.
type ExtendRequest struct {
	ID      int   `json:"id"`
	Seconds int64 `json:"seconds"`
}

// RevertRequest ends overrides before their time.
type RevertRequest struct {
	IDs []int `json:"ids,omitempty"`
	All bool  `json:"all,omitempty"`
}

// RevertResult says which overrides have ended and what that has changed.
type RevertResult struct {
	Overrides []Override `json:"overrides"`
	Changes   []string   `json:"changes"`
	Notes     []string   `json:"notes,omitempty"`
}

// CommitRequest writes an override into the configuration.
type CommitRequest struct {
	ID     int  `json:"id"`
	DryRun bool `json:"dry_run,omitempty"`
}

// CommitResult says what was written. Files that aren't done are left to the one who asks.
type CommitResult struct {
	Override Override     `json:"override"`
	DryRun   bool         `json:"dry_run,omitempty"`
	Diff     string       `json:"diff"` // of all files, unified
	Files    []FileChange `json:"files"`
	Kept     int          `json:"kept,omitempty"` // the entry of the history that has what the files held
	Outcome  Outcome      `json:"outcome"`
}

// Overrides are what the API shows, makes and ends. Their errors are *Problem where the request
// is at fault. The methods are called from any goroutine.
type Overrides interface {
	// Overrides returns all of them in the order of their numbers.
	Overrides() []Override
	Override(ctx context.Context, q OverrideRequest, by Actor) (OverrideResult, error)
	Revert(ctx context.Context, q RevertRequest, by Actor) (RevertResult, error)
}

// OverrideKeeping is what may become of an override.
type OverrideKeeping interface {
	Extend(q ExtendRequest, by Actor) (OverrideResult, error)
	CommitOverride(ctx context.Context, q CommitRequest, by Actor) (CommitResult, error)
}

// AddOverrides lets the API show, make, extend, end and commit overrides. It is called before
// Serve.
func (s *Server) AddOverrides(o Overrides, k OverrideKeeping) {
	s.read("GET /admin/overrides", func(w http.ResponseWriter, _ *http.Request) {
		all := o.Overrides()
		if all == nil {
			all = []Override{}
		}
		reply(w, http.StatusOK, all)
	})
	s.operate("POST /admin/override", func(w http.ResponseWriter, r *http.Request) {
		change(w, r, func(q OverrideRequest, by Actor) (OverrideResult, error) { return o.Override(r.Context(), q, by) })
	})
	s.operate("POST /admin/override/extend", func(w http.ResponseWriter, r *http.Request) { change(w, r, k.Extend) })
	s.operate("POST /admin/override/revert", func(w http.ResponseWriter, r *http.Request) {
		change(w, r, func(q RevertRequest, by Actor) (RevertResult, error) { return o.Revert(r.Context(), q, by) })
	})
	s.administer("POST /admin/override/commit", func(w http.ResponseWriter, r *http.Request) {
		change(w, r, func(q CommitRequest, by Actor) (CommitResult, error) { return k.CommitOverride(r.Context(), q, by) })
	})
}

// Overrides asks for all overrides.
func (c *Client) Overrides(ctx context.Context) (list []Override, err error) {
	return list, c.call(ctx, http.MethodGet, "/admin/overrides", nil, &list)
}

// Override asks for an override; the error of one that can't be is a *Problem.
func (c *Client) Override(ctx context.Context, q OverrideRequest) (r OverrideResult, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/override", q, &r)
}

// Extend asks for a new end of an override.
func (c *Client) Extend(ctx context.Context, q ExtendRequest) (r OverrideResult, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/override/extend", q, &r)
}

// Revert asks to end overrides.
func (c *Client) Revert(ctx context.Context, q RevertRequest) (r RevertResult, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/override/revert", q, &r)
}

// CommitOverride asks to write an override into the configuration.
func (c *Client) CommitOverride(ctx context.Context, q CommitRequest) (r CommitResult, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/override/commit", q, &r)
}
