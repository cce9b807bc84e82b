package snapshot

import (
	"sentinel/internal/dataplane/auth"
	"sentinel/internal/dataplane/cors"
	"sentinel/internal/dataplane/queue"
)

// Policies decide whether a request of a route may go on. Each is nil where the route has
// none.
type Policies struct {
	CORS  *cors.Policy
	Basic *BasicAuth
}

// BasicAuth asks for a name and a password.
type BasicAuth struct {
	*auth.Basic
	Shadow    bool
	Challenge []byte      // value of WWW-Authenticate
	Checks    *queue.Gate // passwords that are checked at once, and wait for it
	// UserField tells the upstream the name; empty for none.
	UserField string
	// KeepCredentials lets the upstream see what the client sent.
	KeepCredentials bool
}
