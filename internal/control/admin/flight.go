package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sentinel/internal/observe/flight"
)

const (
	flightDefault = 50
	flightMax     = 5000
)

// Flight is what the API shows of single requests of the last minutes.
type Flight interface {
	Flights(q *flight.Query) []flight.Entry
	LeftOut(c flight.Class) uint64
}

// FlightRecords are records, and how many more there would be, by class, had they not come too
// fast.
type FlightRecords struct {
	Records []flight.Entry    `json:"records"`
	LeftOut map[string]uint64 `json:"left_out"`
}

// AddFlight lets the API show f. It is called before Serve.
func (s *Server) AddFlight(f Flight) {
	s.read("GET /admin/flight", func(w http.ResponseWriter, r *http.Request) {
		q, problem := readFlightQuery(r.URL.Query())
		if problem != nil {
			refuse(w, problem)
			return
		}
		out := FlightRecords{Records: f.Flights(q), LeftOut: map[string]uint64{}}
		for _, c := range flight.Classes() {
			out.LeftOut[c.String()] = f.LeftOut(c)
		}
		reply(w, http.StatusOK, out)
	})
}

func readFlightQuery(v url.Values) (*flight.Query, *Problem) {
	q := &flight.Query{ID: v.Get("id"), Route: v.Get("route"), Upstream: v.Get("upstream"), Slowest: v.Get("order") == "slowest", Max: flightDefault}
	if text := v.Get("class"); text != "" {
		for name := range strings.SplitSeq(text, ",") {
			c, ok := flight.ClassOf(name)
			if !ok {
				return nil, badRequest("there is no class %q of records: there are failed, slow, refused, asked", name)
			}
			q.Classes = append(q.Classes, c)
		}
	}
	if text := v.Get("since"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return nil, badRequest("since %q is no duration above 0, such as 5m", text)
		}
		q.Since = d
	}
	if text := v.Get("n"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > flightMax {
			return nil, badRequest("n must be 1 to %d", flightMax)
		}
		q.Max = n
	}
	return q, nil
}

// Flight asks for records of single requests.
func (c *Client) Flight(ctx context.Context, q *flight.Query) (r FlightRecords, err error) {
	v := url.Values{}
	for name, text := range map[string]string{"id": q.ID, "route": q.Route, "upstream": q.Upstream} {
		if text != "" {
			v.Set(name, text)
		}
	}
	var names []string
	for _, class := range q.Classes {
		names = append(names, class.String())
	}
	if len(names) > 0 {
		v.Set("class", strings.Join(names, ","))
	}
	if q.Since > 0 {
		v.Set("since", q.Since.String())
	}
	if q.Slowest {
		v.Set("order", "slowest")
	}
	if q.Max > 0 {
		v.Set("n", fmt.Sprint(q.Max))
	}
	return r, c.call(ctx, http.MethodGet, "/admin/flight?"+v.Encode(), nil, &r)
}
