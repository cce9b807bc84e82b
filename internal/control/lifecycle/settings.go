package lifecycle

import (
	"net/http"
	"strconv"
	"time"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/observe/metric"
)

// settingsOf returns what the process itself takes from a configuration.
func settingsOf(c *schema.Config) Settings {
	plan := listen.Plan{
		MaxConnections: c.Limits.MaxConnections.V, MaxPerClient: c.Limits.MaxConnectionsPerClient.V,
		DrainLimit: c.System.ShutdownTimeout.V,
	}
	for _, l := range c.Listeners {
		plan.Listeners = append(plan.Listeners, listen.Spec{
			Name: l.Name.V, Addresses: compile.Listening(l), At: compile.Place(l.From),
			MaxConnections: l.Limits.MaxConnections.V, MaxPerClient: l.Limits.MaxConnectionsPerClient.V,
		})
	}
	return Settings{
		PIDFile: c.System.PIDFile.V, StateDir: c.System.StateDir.V, AdminSocket: c.System.AdminSocket.V,
		Workers: int(c.System.WorkerThreads.V), ShutdownTimeout: c.System.ShutdownTimeout.V,
		Listeners:      plan,
		MetricsAddress: c.Observability.Metrics.Address.V, MetricsAt: compile.Place(c.Observability.Metrics.Address.From),
		MetricsPath: c.Observability.Metrics.Path.V,
	}
}

func routesOf(c *schema.Config) []admin.Route {
	var out []admin.Route
	for _, r := range c.Routes {
		a := admin.Route{Name: r.Name.V, Priority: r.Priority.V}
		switch {
		case r.Respond != nil:
			a.Target = "respond " + strconv.FormatInt(r.Respond.Status.V, 10)
		case r.Redirect != nil:
			a.Target = "redirect " + strconv.Quote(r.Redirect.To.V.Text)
		case r.Split != nil:
			a.Target = "split over " + strconv.Itoa(len(r.Split.Upstreams)) + " upstreams"
		default:
			a.Target = "upstream " + strconv.Quote(r.Upstream.V)
		}
		out = append(out, a)
	}
	return out
}

func upstreamsOf(c *schema.Config) []admin.Upstream {
	var out []admin.Upstream
	for _, u := range c.Upstreams {
		a := admin.Upstream{Name: u.Name.V}
		for _, t := range u.Targets {
			a.Targets = append(a.Targets, admin.Target{Address: t.Address.V, Weight: t.Weight.V, State: "unchecked"})
		}
		out = append(out, a)
	}
	return out
}

// reloadMetrics is the registry as the process sees it.
type reloadMetrics struct {
	*metric.Registry
	http.Handler
}

func scrapeOf(r *metric.Registry) reloadMetrics { return reloadMetrics{r, metric.Handler(r)} }

// ReloadSucceeded implements Metrics.
func (m reloadMetrics) ReloadSucceeded(at time.Time, generation uint64) {
	m.Registry.ReloadSucceeded(at, generation)
}
