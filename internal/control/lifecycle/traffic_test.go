package lifecycle

import (
	"testing"
	"time"

	"sentinel/internal/observe/metric"
)

func TestTrafficIsWhatTheMetricsCount(t *testing.T) {
	r := metric.New(metric.Options{})
	api := r.Route("api")
	for i, code := range []int{200, 200, 404, 500, 503} {
		api.Observe(i, code, time.Millisecond)
	}
	r.Route("quiet")
	want := map[string]RouteCount{"api": {"api", 5, 2}, "quiet": {"quiet", 0, 0}, metric.RouteNone: {metric.RouteNone, 0, 0}}
	got := trafficOf(r)
	if len(got) != len(want) {
		t.Errorf("trafficOf() = %v, want %v", got, want)
	}
	for _, c := range got {
		if c != want[c.Route] {
			t.Errorf("trafficOf() has %+v, want %+v", c, want[c.Route])
		}
	}
}
