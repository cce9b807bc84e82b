package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

const (
	auditDefault = 100
	auditMax     = 10000
)

// addAudit lets the API show the audit file, and who asks.
func (s *Server) addAudit() {
	s.read("GET /admin/whoami", func(w http.ResponseWriter, r *http.Request) {
		by, _ := ActorOf(r.Context())
		reply(w, http.StatusOK, by)
	})
	s.read("GET /admin/audit", func(w http.ResponseWriter, r *http.Request) {
		n := auditDefault
		if text := r.URL.Query().Get("n"); text != "" {
			var err error
			if n, err = strconv.Atoi(text); err != nil || n < 1 || n > auditMax {
				refuse(w, badRequest("n must be 1 to %d", auditMax))
				return
			}
		}
		if s.gate.audit == nil {
			reply(w, http.StatusOK, []AuditRecord{})
			return
		}
		list, err := s.gate.audit.Last(n)
		if err != nil {
			refuse(w, &Problem{Status: http.StatusInternalServerError, Message: err.Error()})
			return
		}
		reply(w, http.StatusOK, list)
	})
}

// Audit asks for the last n changes that were asked for.
func (c *Client) Audit(ctx context.Context, n int) (list []AuditRecord, err error) {
	return list, c.call(ctx, http.MethodGet, fmt.Sprintf("/admin/audit?n=%d", n), nil, &list)
}

// WhoAmI asks who asks, and in which role.
func (c *Client) WhoAmI(ctx context.Context) (a Actor, err error) {
	return a, c.call(ctx, http.MethodGet, "/admin/whoami", nil, &a)
}
