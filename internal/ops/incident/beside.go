package incident

import (
	"context"
	"errors"
	"net"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/observe/event"
)

// askTimeout bounds one question to the proxy; a CPU profile takes five seconds.
const askTimeout = 12 * time.Second

// errIdle is returned where there is nothing to look at.
var errIdle = errors.New("not serving, or not asked to watch")

// Beside returns a companion that watches a process by the settings that serve. more are
// sources of its snapshots.
func Beside(more ...Source) lifecycle.Companion {
	return func(ctx context.Context, p *lifecycle.Process, emit func(event.Event)) { watch(ctx, p, emit, more) }
}

func watch(ctx context.Context, p *lifecycle.Process, emit func(event.Event), more []Source) {
	w := &Watch{Store: &Store{}, Record: emit}
	var s lifecycle.Settings
	w.Look = func(context.Context) (Look, error) {
		var ok bool
		s, ok = p.Current()
		if !ok || !s.Incidents.Automatic {
			return Look{}, errIdle
		}
		w.Store.Folder, w.Keep = s.Incidents.Folder, s.Incidents.Keep
		status := p.Status()
		return LookOf(&status, p.UpstreamStatus(), time.Now()), nil
	}
	w.From = func() *From {
		f := FromSettings(&s, p.ConfigFile())
		f.More = more
		return f
	}
	w.Run(ctx)
}

// FromSettings is where snapshots of a proxy with these settings come from.
func FromSettings(s *lifecycle.Settings, configFile string) *From {
	return &From{
		Client: admin.NewClient(s.AdminSocket, askTimeout), Metrics: metricsURL(s.MetricsAddress, s.MetricsPath),
		ConfigFile: configFile, StateDir: s.StateDir, Logs: s.Incidents.Logs,
	}
}

// metricsURL is where metrics are scraped from this machine.
func metricsURL(address, path string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + path
}
