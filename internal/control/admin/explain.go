package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// ExplainRequest is a request that is to be explained.
type ExplainRequest struct {
	Method   string   `json:"method"`
	URL      string   `json:"url"`              // with scheme and host
	Fields   []string `json:"fields,omitempty"` // each "Name: value"
	Client   string   `json:"client,omitempty"` // address that it comes from; empty is 127.0.0.1
	Listener string   `json:"listener,omitempty"`
	Everyone bool     `json:"everyone,omitempty"` // all routes that lost, not only the nearest
}

// Explanation is what a request would meet.
type Explanation struct {
	Request     string         `json:"request"`
	Listener    string         `json:"listener"`
	ListenerWhy string         `json:"listener_why"`
	Client      string         `json:"client"`
	Certificate string         `json:"certificate,omitempty"` // subject and end; only with https
	Path        string         `json:"path,omitempty"`        // in the form that is matched
	Route       string         `json:"route,omitempty"`
	RouteWhy    string         `json:"route_why,omitempty"`
	Others      []LostRoute    `json:"others"`
	MoreOthers  int            `json:"more_others,omitempty"` // that are left out
	Policies    []PolicyAnswer `json:"policies"`
	Does        string         `json:"does,omitempty"`  // what the route does
	Sent        string         `json:"sent,omitempty"`  // the path as the upstream sees it
	Fault       string         `json:"fault,omitempty"` // why it isn't served; its label
	Outcome     string         `json:"outcome"`
	Onward      *OnwardPlan    `json:"onward,omitempty"`
	Offline     bool           `json:"offline,omitempty"` // by a file: nothing is known of states
}

// LostRoute is a route that doesn't take the request.
type LostRoute struct {
	Route    string   `json:"route"`
	Priority int      `json:"priority"`
	Matches  bool     `json:"matches"`
	Why      []string `json:"why"`
}

// PolicyAnswer is what one policy says.
type PolicyAnswer struct {
	Policy string `json:"policy"`
	Name   string `json:"name,omitempty"`
	Answer string `json:"answer"` // pass, refuse, shadow or ask
	Fault  string `json:"fault,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// OnwardPlan is how the request would reach an upstream.
type OnwardPlan struct {
	Upstream string       `json:"upstream"`
	Split    []string     `json:"split,omitempty"` // of several upstreams, with their shares
	Balance  string       `json:"balancing"`
	Target   string       `json:"target,omitempty"` // that would get it, or one of those that would
	Why      string       `json:"why"`
	Targets  []TargetPlan `json:"targets"`
	Queue    string       `json:"queue"`
	Timeouts []string     `json:"timeouts"`
	Retries  string       `json:"retries"`
	Fallback string       `json:"fallback,omitempty"`
}

// TargetPlan is one target as the choice sees it.
type TargetPlan struct {
	Target    string  `json:"target"`
	Weight    int     `json:"weight"`
	State     string  `json:"state"`
	Breaker   string  `json:"breaker,omitempty"`
	InFlight  int64   `json:"in_flight"`
	LatencyMS float64 `json:"latency_ms"`
	Refusal   string  `json:"refusal,omitempty"` // why it takes no request
}

// explainBytesMax bounds a request that is to be explained.
const explainBytesMax = 256 << 10

// AddExplain lets the API explain requests by f, whose error is a *Problem. It is called before
// Serve.
func (s *Server) AddExplain(f func(ExplainRequest) (Explanation, error)) {
	s.read("POST /admin/explain", func(w http.ResponseWriter, r *http.Request) {
		var q ExplainRequest
		if err := json.NewDecoder(io.LimitReader(r.Body, explainBytesMax)).Decode(&q); err != nil {
			refuse(w, badRequest("the request isn't JSON of a request to explain: %v", err))
			return
		}
		e, err := f(q)
		if err != nil {
			refuse(w, badRequest("%v", err))
			return
		}
		reply(w, http.StatusOK, e)
	})
}

// Explain asks what a request would meet.
func (c *Client) Explain(ctx context.Context, q ExplainRequest) (e Explanation, err error) {
	return e, c.call(ctx, http.MethodPost, "/admin/explain", q, &e)
}

// AddLive lets the API make tokens by sign, which are good until they expire, and by which a
// request with field asks to be kept. It is called before Serve.
func (s *Server) AddLive(field string, lifeMax time.Duration, sign func(expires time.Time) string) {
	s.operate("POST /admin/explain/live", func(w http.ResponseWriter, r *http.Request) {
		life, err := time.ParseDuration(r.URL.Query().Get("for"))
		if err != nil || life < time.Second || life > lifeMax {
			refuse(w, badRequest("for must be a duration of 1s to %s", lifeMax))
			return
		}
		expires := time.Now().Add(life)
		reply(w, http.StatusOK, LiveToken{Field: field, Value: sign(expires), Expires: expires})
	})
}

// Live asks for a token that is good for so long.
func (c *Client) Live(ctx context.Context, life time.Duration) (t LiveToken, err error) {
	return t, c.call(ctx, http.MethodPost, "/admin/explain/live?for="+life.String(), nil, &t)
}

// LiveToken is the value of a field that has a request kept in full.
type LiveToken struct {
	Field   string    `json:"field"`
	Value   string    `json:"value"`
	Expires time.Time `json:"expires"`
}
