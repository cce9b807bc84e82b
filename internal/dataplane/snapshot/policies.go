package snapshot

import (
	"time"

	"sentinel/internal/dataplane/auth"
	"sentinel/internal/dataplane/cors"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/upstream"
)

// Policies decide whether a request of a route may go on. Each is nil where the route has
// none.
type Policies struct {
	CORS    *cors.Policy
	Basic   *BasicAuth
	JWT     *JWTAuth
	Forward *ForwardAuth
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

// JWTAuth asks for a token.
type JWTAuth struct {
	*auth.Tokens
	Shadow bool
	// Field or Cookie is where the token is: a field name in lower case, or the name of a
	// cookie.
	Field, Cookie string
	// Missing, Invalid and Lacking are values of WWW-Authenticate (RFC 6750 section 3).
	Missing, Invalid, Lacking []byte
	KeepCredentials           bool
}

// ForwardAuth asks a service.
type ForwardAuth struct {
	Upstream    *upstream.Upstream
	Shadow      bool
	Method      []byte
	Path, Query []byte
	HasQuery    bool
	// Sent are the fields of the request that the service gets, in lower case; Copied those of
	// its answer that the upstream gets.
	Sent   []string
	Copied []FieldName
	// UserField of its answer says who the client is, in lower case; empty for none.
	UserField        string
	Timeout          time.Duration
	ContentBytesMax  int
	AllowWhenFailing bool
}

// FieldName is the name of a field as it is written, and in lower case.
type FieldName struct{ Name, Lower string }
