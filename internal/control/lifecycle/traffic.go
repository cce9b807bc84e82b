package lifecycle

import (
	"strings"

	"sentinel/internal/observe/metric"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// requestsFamily is the counter that the traffic of the routes is read from.
const requestsFamily = "sentinel_requests_total"

// trafficOf returns what each route has answered, as the metrics count it.
func trafficOf(r *metric.Registry) []RouteCount {
	series := make(chan prometheus.Metric, 64)
	go func() {
		defer close(series)
		r.Collect(series)
	}()
	byRoute := make(map[string]*RouteCount)
	for m := range series {
		var d dto.Metric
		if !strings.Contains(m.Desc().String(), `"`+requestsFamily+`"`) || m.Write(&d) != nil {
			continue
		}
		route, status := labelOf(&d, "route"), labelOf(&d, "status")
		c := byRoute[route]
		if c == nil {
			c = &RouteCount{Route: route}
			byRoute[route] = c
		}
		n := uint64(d.GetCounter().GetValue())
		c.Requests += n
		if status == "5xx" {
			c.Errors += n
		}
	}
	all := make([]RouteCount, 0, len(byRoute))
	for _, c := range byRoute {
		all = append(all, *c)
	}
	return all
}

func labelOf(d *dto.Metric, name string) string {
	for _, l := range d.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
