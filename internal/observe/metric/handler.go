package metric

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapesMax bounds how many scrapes are answered at once; others get 503.
const scrapesMax = 4

// Handler answers GET and HEAD on path with the exposition of r and of the
// process_* and go_* collectors, and everything else with 404 or 405. The text
// format is the default; OpenMetrics by Accept.
func Handler(r *Registry, path string) http.Handler {
	gatherer := prometheus.NewRegistry()
	gatherer.MustRegister(r,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector())
	scrape := promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: scrapesMax,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path != path:
			http.Error(w, "404 Not Found", http.StatusNotFound)
		case req.Method != http.MethodGet && req.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "405 Method Not Allowed", http.StatusMethodNotAllowed)
		default:
			scrape.ServeHTTP(w, req)
		}
	})
}
