package metric

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
)

func BenchmarkRouteObserve(b *testing.B) {
	r := New(Options{Cells: 4}).Route("api")
	for i := 0; b.Loop(); i++ {
		r.Observe(1, 200, time.Duration(i&1023)*time.Microsecond)
	}
}

func BenchmarkUpstreamObserve(b *testing.B) {
	u := New(Options{Cells: 4}).Upstream("a")
	for i := 0; b.Loop(); i++ {
		u.Observe(1, time.Duration(i&1023)*time.Microsecond)
	}
}

// BenchmarkScrape is a scrape of 10,000 routes that all have traffic.
func BenchmarkScrape(b *testing.B) {
	r := manyRoutes(10_000)
	h := Handler(r, "/metrics")
	for b.Loop() {
		h.ServeHTTP(&discard{header: http.Header{}}, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

func manyRoutes(n int) *Registry {
	r := New(Options{Cells: 2})
	for i := range n {
		route := r.Route(fmt.Sprintf("route-%d", i))
		route.Observe(0, 200, time.Millisecond)
		route.Observe(1, 404, time.Second)
		route.Fault(fault.QueueFull)
	}
	return r
}

type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return io.Discard.Write(p) }
