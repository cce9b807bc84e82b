package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sentinel/internal/observe/series"
)

// seriesWindow is how far back an answer goes that wasn't asked for more or less.
const seriesWindow = 15 * time.Minute

// Series is what the API shows of the last hour; *series.Recorder is one.
type Series interface {
	Since(q series.Query, now time.Time) series.Window
}

// AddSeries lets the API show what happened in the last hour. It is called before Serve.
func (s *Server) AddSeries(from Series) {
	s.read("GET /admin/series", func(w http.ResponseWriter, r *http.Request) {
		q, problem := readSeriesQuery(r)
		if problem != nil {
			refuse(w, problem)
			return
		}
		reply(w, http.StatusOK, from.Since(q, time.Now()))
	})
}

// readSeriesQuery reads since, a duration such as 5m, and step, how long a point is, in steps
// of the series; 0 is no points.
func readSeriesQuery(r *http.Request) (q series.Query, _ *Problem) {
	q = series.Query{Window: seriesWindow, Merge: 1}
	values := r.URL.Query()
	if text := values.Get("since"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > series.Kept*series.Step {
			return q, badRequest("since %q is no duration above 0 and up to %s, such as 5m", text, series.Kept*series.Step)
		}
		q.Window = d
	}
	if text := values.Get("step"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d%series.Step != 0 || d > series.Kept*series.Step {
			return q, badRequest("step %q is neither 0 nor a multiple of %s", text, series.Step)
		}
		q.Merge = int(d / series.Step)
	}
	return q, nil
}

// Series asks what happened in the last while, in points of step, a multiple of series.Step;
// 0 is no points.
func (c *Client) Series(ctx context.Context, window, step time.Duration) (w series.Window, err error) {
	return w, c.call(ctx, http.MethodGet, fmt.Sprintf("/admin/series?since=%s&step=%s", window, step), nil, &w)
}
