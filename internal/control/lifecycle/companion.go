package lifecycle

import (
	"context"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

// Companion runs beside a process from its start until ctx ends, which is when the process
// begins to drain at the latest. emit puts an event into the ring and the log.
type Companion func(ctx context.Context, p *Process, emit func(event.Event))

// Current returns the settings of what serves; false while nothing does.
func (p *Process) Current() (s Settings, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.current == nil {
		return s, false
	}
	return p.mu.current.Settings, true
}

// UpstreamStatus returns what is known of the upstreams.
func (p *Process) UpstreamStatus() []admin.UpstreamStatus {
	if p.opt.Upstreams == nil {
		return nil
	}
	return p.opt.Upstreams.Upstreams()
}

// ConfigFile returns the path of the configuration.
func (p *Process) ConfigFile() string { return p.opt.ConfigFile }
