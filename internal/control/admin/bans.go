package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Ban is one ban as the API shows it and as it is kept in a file.
type Ban struct {
	Prefix string    `json:"prefix"` // CIDR, also for one address
	By     Actor     `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is lifted
	Hits   uint64    `json:"hits"`           // connections and requests that were refused
	// Shadow says that it keeps nobody out: Hits are those that would have been refused.
	Shadow bool `json:"shadow,omitempty"`
}

// BanRequest asks for bans. Either all of them are made or none.
type BanRequest struct {
	Prefixes  []string `json:"prefixes"`            // addresses and CIDR prefixes
	Seconds   int64    `json:"seconds,omitempty"`   // for how long
	Permanent bool     `json:"permanent,omitempty"` // until they are lifted, instead of Seconds
	Force     bool     `json:"force,omitempty"`     // ban also what is protected
	Shadow    bool     `json:"shadow,omitempty"`    // keep nobody out, count who would be
	Reason    string   `json:"reason,omitempty"`    // for the log and for colleagues
	Session   []string `json:"session,omitempty"`   // addresses from which the operator is logged in
}

// BanResult says what was banned.
type BanResult struct {
	Bans        []Ban    `json:"bans"`
	Connections int      `json:"connections"`     // of those clients that were open
	Notes       []string `json:"notes,omitempty"` // what the operator should know
}

// UnbanRequest asks to lift bans: those of exactly these prefixes, or all there are.
type UnbanRequest struct {
	Prefixes []string `json:"prefixes,omitempty"`
	All      bool     `json:"all,omitempty"`
}

// UnbanResult says which bans were lifted, as they were.
type UnbanResult struct {
	Bans  []Ban    `json:"bans"`
	Notes []string `json:"notes,omitempty"`
}

// Bans are what the API shows, makes and lifts. Its methods are called from any goroutine;
// their errors are *Problem where the request is at fault.
type Bans interface {
	// Bans returns all of them in the order of their prefixes.
	Bans() []Ban
	Ban(q BanRequest, by Actor) (BanResult, error)
	Unban(q UnbanRequest, by Actor) (UnbanResult, error)
}

// AddBans lets the API show, make and lift bans. It is called before Serve.
func (s *Server) AddBans(b Bans) {
	s.read("GET /admin/bans", func(w http.ResponseWriter, _ *http.Request) {
		all := b.Bans()
		if all == nil {
			all = []Ban{}
		}
		reply(w, http.StatusOK, all)
	})
	s.operate("POST /admin/ban", func(w http.ResponseWriter, r *http.Request) { change(w, r, b.Ban) })
	s.operate("POST /admin/unban", func(w http.ResponseWriter, r *http.Request) { change(w, r, b.Unban) })
}

// change reads a request, does what it asks in the name of who asks, and answers.
func change[Q, R any](w http.ResponseWriter, r *http.Request, do func(Q, Actor) (R, error)) {
	by, err := actorOf(r.Context())
	if err != nil {
		refuse(w, &Problem{Status: http.StatusForbidden, Message: "who asks isn't known: " + err.Error()})
		return
	}
	var q Q
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bansBytesMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		refuse(w, badRequest("not a request that is understood: %v", err))
		return
	}
	result, err := do(q, by)
	var problem *Problem
	switch {
	case err == nil:
		reply(w, http.StatusOK, result)
	case errors.As(err, &problem):
		refuse(w, problem)
	default:
		refuse(w, &Problem{Status: http.StatusInternalServerError, Message: err.Error()})
	}
}

// bansBytesMax bounds a request: some 20,000 prefixes.
const bansBytesMax = 1 << 20

// Bans asks for all bans.
func (c *Client) Bans(ctx context.Context) (list []Ban, err error) {
	return list, c.call(ctx, http.MethodGet, "/admin/bans", nil, &list)
}

// Ban asks for bans; the error of what can't or mustn't be banned is a *Problem.
func (c *Client) Ban(ctx context.Context, q BanRequest) (r BanResult, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/ban", q, &r)
}

// Unban asks to lift bans; the error of one that isn't there is a *Problem.
func (c *Client) Unban(ctx context.Context, q UnbanRequest) (r UnbanResult, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/unban", q, &r)
}
