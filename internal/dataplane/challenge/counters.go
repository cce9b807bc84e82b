package challenge

import "sync/atomic"

// Counters are what became of challenges since the process started. Each request over a
// threshold is counted once in Issued, Refused, Passed or Bypassed.
type Counters struct {
	Issued   atomic.Uint64 // pages given, each with a seed and a ticket
	Shadowed atomic.Uint64 // requests that shadow mode let go on
	Refused  atomic.Uint64 // requests answered 429, since they were no navigation
	Passed   atomic.Uint64 // requests that came with a good token
	Bypassed [bypassCount]atomic.Uint64

	Solved   atomic.Uint64 // answers that got a token
	Waited   atomic.Uint64 // tickets that got a token
	Early    atomic.Uint64 // tickets that came before their wait was over
	Replayed atomic.Uint64 // answers and tickets used once already, and past Grace
	Failed   atomic.Uint64 // answers, tickets and checks that were wrong, expired or another's
	Looped   atomic.Uint64 // clients told that they keep no cookies
}

// Bypass says why a request goes on without a challenge though it is over the threshold.
type Bypass uint8

// The reasons, in the order in which they are looked for. NotBypassed is none.
const (
	NotBypassed   Bypass = iota
	BypassAllowed        // an allow list
	BypassMethod         // OPTIONS: preflights carry no cookies (Fetch section 4.9)
	BypassACME           // certificates are renewed at any load (RFC 8555 section 8.3)
	BypassRobots         // /robots.txt
	BypassHealth         // /health and /ready
	BypassGRPC           // gRPC content types
	BypassUpgrade        // WebSocket and other upgrades
	BypassAPI            // requests with credentials that don't ask for HTML
	bypassCount
)

// String returns the reason as a label of metrics.
func (b Bypass) String() string {
	switch b {
	case BypassAllowed:
		return "allowed"
	case BypassMethod:
		return "method"
	case BypassACME:
		return "acme"
	case BypassRobots:
		return "robots"
	case BypassHealth:
		return "health"
	case BypassGRPC:
		return "grpc"
	case BypassUpgrade:
		return "upgrade"
	case BypassAPI:
		return "api"
	}
	return "none"
}

// Bypasses returns all reasons, for who counts them.
func Bypasses() []Bypass {
	return []Bypass{
		BypassAllowed, BypassMethod, BypassACME, BypassRobots,
		BypassHealth, BypassGRPC, BypassUpgrade, BypassAPI,
	}
}
