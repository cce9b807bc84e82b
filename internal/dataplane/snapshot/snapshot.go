// Package snapshot is what an exchange reads: everything that the configuration decides,
// resolved once when it was compiled and never changed after. A reload builds a new one
// and swaps the pointer; what survives reloads (pools, counters) is only pointed at.
package snapshot

import (
	"net/netip"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/block"
	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/geo"
	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/h2"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/retry"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/tlsedge"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/metric"
)

// Snapshot is one generation of the configuration.
type Snapshot struct {
	Listeners []*Listener // by the listener's slot; nil where there is none
	Routes    []*Route
	Upstreams []*upstream.Upstream
	Table     *route.Table[*Route]
	Trusted   []netip.Prefix // whose forwarded fields are believed
	NoRoute   *metric.Route  // counts what no route matched
	Identity  Identity
	LimitSeed *limit.Seed
	Shadowed  *metric.ShadowCounts // counts what shadow mode lets through
	Places    *geo.Database        // nil where no database is configured
	LogPlaces bool                 // the access log tells where clients are
	Requests  *queue.Gate          // bounds the requests in progress in the process; nil: nothing does
	// ShadowRequests is a bound of Requests that only counts; 0 is none.
	ShadowRequests int
	Proofs         bool      // authorities may ask for proofs of names by HTTP
	Streams        []*Stream // those of listeners included
	// Challenger gives challenges and takes answers; nil while there was never a need.
	Challenger *challenge.Challenger
	// Vouched are the names of all fields by which upstreams are told who a client is by its
	// certificate, in lower case with hyphens: no client may bring them.
	Vouched []string
	// Identity fields that policies set for upstreams are taken out of every request, in lower
	// case.
	Reserved []string
	// Security is on responses to requests that no route has; nil for nothing.
	Security *filter.Security
	// Preflights says that some route answers preflights.
	Preflights bool
}

// Identity says what a request is called and what upstreams are told of the client.
type Identity struct {
	RequestIDField string // name of the field that carries the request's id
	RequestIDLower string // the same in lower case, to find it
	AcceptIDs      bool   // keep the ids that trusted peers bring
	XForwarded     bool   // send X-Forwarded-For, -Host and -Proto
	Forwarded      bool   // send Forwarded (RFC 7239)
}

// Listener is what holds for the connections of one listener.
type Listener struct {
	Name string
	H1   h1.Settings
	H2   h2.Settings
	// H2C says that clients may begin with HTTP/2 without TLS.
	H2C    bool
	H2Only bool // nothing else is spoken
	// Paths is how the path of a request is brought into the one form that is matched,
	// rewritten and sent.
	Paths route.PathPolicy
	// RewrittenPaths is Paths for what a rewrite has made.
	RewrittenPaths route.PathPolicy
	Metrics        *metric.Listener
	// RequestTimeout and BodyBytesMax hold where neither route nor upstream says otherwise.
	RequestTimeout time.Duration
	RateLimits     []*RateLimit // where the route has none; nil for none
	AddedLimits    []*RateLimit // hold beside those that hold otherwise
	Key            []byte       // Name, for keys of rate limits
	Demand         uint32       // Name, as package demand has it
	Slot           int          // index among the listeners
	Security       *Security    // where the route has none; nil where nobody is challenged
	Requests       *queue.Gate  // requests in progress on the listener
	// Shadow are bounds that only count; nil for none. ShadowRequests is one of Requests, 0 for none.
	Shadow            *Bounds
	ShadowRequests    int
	RequestTimeoutSet bool // by the operator: it covers the content, too
	BodyBytesMax      int64
	TunnelIdle        time.Duration // a tunnel silent for so long is closed, where the route says nothing
	// Access says which clients' requests are let in where the route doesn't; nil for all.
	Access *block.List
	// Streams says where the bytes of the listener's connections go; nil where they are HTTP.
	Streams *Streams
	// PeerAccess says which peers may connect at all; nil for all.
	PeerAccess *block.List

	// TLS takes handshakes; nil where none is spoken.
	TLS *tlsedge.Edge
	// CertFields tell upstreams who a client is by its certificate.
	CertFields []CertField
}

// Bounds are bounds of requests in shadow mode: what is above is counted and goes on. 0 is no
// bound.
type Bounds struct {
	HeadBytes, TargetBytes, Fields int
	BodyBytes                      int64 // of content
}

// CertField is a field that carries something of a client's certificate.
type CertField struct {
	Name string
	Part CertPart
}

// CertPart is something of a client's certificate.
type CertPart uint8

// The parts, in the order of the configuration's keys.
const (
	CertVerified CertPart = iota
	CertSubject
	CertIssuer
	CertSerial
	CertNames
	CertFingerprint
	CertItself
)

// Route is one route, ready to serve.
type Route struct {
	Name    string
	Metrics *metric.Route

	// Exactly one of the three says what answers.
	Answer   *filter.Answer
	Redirect *filter.Redirect
	Forward  *route.Split[*upstream.Upstream]
	Sticky   upstream.Affinity
	// Fallback answers where Forward's choice can't; nil for none.
	Fallback *upstream.Upstream
	Failover *upstream.Failover // set where Fallback is
	Retry    *retry.Policy
	Priority queue.Priority
	// RateLimits are the route's own; nil where those of the listener hold.
	RateLimits []*RateLimit
	// AddedLimits hold beside those that hold otherwise.
	AddedLimits []*RateLimit
	Disabled    *Disabled // nil while it takes requests
	Key         []byte    // Name, for keys of rate limits
	Demand      uint32    // Name, as package demand has it
	Mirror      *Mirror   // nil for none
	// Security is what holds on each listener, by its slot, with nil where nobody is
	// challenged; nil altogether where the listener's own holds.
	Security []*Security

	Rewrites      []*filter.Rewrite
	RequestEdits  *filter.Edits // nil for none
	ResponseEdits *filter.Edits
	Timeout       time.Duration // from the request to the response head; 0: the upstream's or the listener's
	ReadTimeout   time.Duration // for the response head, and between two reads; 0: the upstream's
	BodyBytesMax  int64         // of request content, 0 is no limit; negative: the listener's
	// ShadowBodyBytes is a bound of content that only counts, 0 for none; negative: the listener's.
	ShadowBodyBytes int64
	Upgrades        []string      // tokens that may be upgraded to, in lower case
	TunnelIdle      time.Duration // a tunnel silent for so long is closed; 0: the listener's

	// Access is the route's own access list; nil where the listener's holds.
	Access *block.List
	// Policies are those of access; nil for none.
	Policies *Policies
	// SecurityFields are on all of its responses; nil for nothing.
	SecurityFields *filter.Security

	GRPCWeb  bool // calls of gRPC-Web become calls of gRPC
	Trailers bool // trailer fields are passed on, both ways

	// Probes that this route itself answers because it matches their path exactly.
	OwnsHealth, OwnsReady bool
}

// Disabled says how a route refuses what it would take.
type Disabled struct {
	Status     int
	RetryAfter int // seconds; 0 sends no Retry-After
}

// Mirror is an upstream that gets copies of some requests.
type Mirror struct {
	Upstream      *upstream.Upstream
	Percent       int   // of the requests
	BodyBytesMax  int64 // requests with more content aren't copied
	ConcurrentMax int64 // copies under way at once; beyond there are none

	underway atomic.Int64
}

// Enter takes a place among the copies under way and reports whether there was one.
func (m *Mirror) Enter() bool {
	if m.underway.Add(1) <= m.ConcurrentMax {
		return true
	}
	m.underway.Add(-1)
	return false
}

// Leave gives the place back.
func (m *Mirror) Leave() { m.underway.Add(-1) }

// Security says who is challenged, with the counts of its place.
type Security struct {
	Policy  challenge.Policy
	Allowed *block.List // who is never challenged; nil for nobody
	Key     *limit.KeySpec
	Clients *limit.Table // finds clients over the threshold
	Floods  *limit.Table // counts what they send beyond it
}

// RateLimit is one limit, with the counters that it shares with everything in its scope.
type RateLimit struct {
	Name     string
	Table    *limit.Table
	Key      *limit.KeySpec
	Seed     *limit.Seed // that of the process, or of the fleet where it is counted together
	Policy   []byte      // value of RateLimit-Policy
	Metrics  *metric.Limit
	Patience time.Duration // how long a request is held back at most; 0 refuses at once
	LogOnly  bool          // requests too many are let through and noted
	Shadow   bool          // nothing is done to them
	Named    bool          // its key is known only once a policy has asked who the client is
}
