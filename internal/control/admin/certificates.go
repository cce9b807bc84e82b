package admin

import (
	"context"
	"net/http"
	"time"
)

// RoleChain is the role of a certificate that stands behind another in its file.
const RoleChain = "chain"

// Certificate is one certificate in one use.
type Certificate struct {
	Side      string    `json:"side"`               // "listener" or "upstream"
	Name      string    `json:"name"`               // of that
	Role      string    `json:"role"`               // "server", "client", "chain" or "authority"
	Names     []string  `json:"names,omitempty"`    // that it is for
	Default   bool      `json:"default,omitempty"`  // clients get it that ask for an unknown name, or none
	File      string    `json:"file"`               //
	KeyFile   string    `json:"key_file,omitempty"` //
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"` // hexadecimal
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	DaysLeft  int       `json:"days_left"`         // whole ones; below 0 when its time is over
	Problem   string    `json:"problem,omitempty"` // why peers won't believe it
}

// Certificates are what the API shows of certificates. Its method is called from any goroutine.
type Certificates interface {
	// Certificates returns all that are in use: listeners before upstreams, by name.
	Certificates() []Certificate
}

// AddCertificates lets the API show certificates. It is called before Serve.
func (s *Server) AddCertificates(c Certificates) {
	s.read("GET /admin/certificates", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, c.Certificates()) })
}

// Certificates asks for all certificates that are in use.
func (c *Client) Certificates(ctx context.Context) (list []Certificate, err error) {
	return list, c.call(ctx, http.MethodGet, "/admin/certificates", nil, &list)
}
