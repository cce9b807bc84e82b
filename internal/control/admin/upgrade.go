package admin

import (
	"context"
	"net/http"
	"time"
)

// Upgrade is the outcome of an upgrade: another process serves, or not.
type Upgrade struct {
	At            time.Time `json:"at"`
	OK            bool      `json:"ok"`
	Cause         string    `json:"cause"`             // "SIGUSR2" or "admin"
	PID           int       `json:"pid,omitempty"`     // of the process that serves now
	Version       string    `json:"version,omitempty"` // of that
	Former        int       `json:"former_pid"`        // the process that was asked; it serves on if OK is false
	FormerVersion string    `json:"former_version"`
	Error         string    `json:"error,omitempty"` // a fixed text
	Details       []string  `json:"details,omitempty"`
}

// Upgrader replaces the process. Its method is called from any goroutine.
type Upgrader interface {
	// Upgrade has a new process from the binary as it is now serve in place of this one, and
	// returns how that went.
	Upgrade(ctx context.Context) Upgrade
}

// AddUpgrade lets the API replace the process. It is called before Serve.
func (s *Server) AddUpgrade(u Upgrader) {
	s.administer("POST /admin/upgrade", func(w http.ResponseWriter, r *http.Request) {
		o := u.Upgrade(r.Context())
		status := http.StatusOK
		if !o.OK {
			status = http.StatusUnprocessableEntity
		}
		reply(w, status, o)
	})
}

// Upgrade asks for an upgrade and waits for its outcome, which may be that it failed.
func (c *Client) Upgrade(ctx context.Context) (o Upgrade, err error) {
	return o, c.call(ctx, http.MethodPost, "/admin/upgrade", nil, &o)
}
