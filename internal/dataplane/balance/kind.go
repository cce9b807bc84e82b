package balance

import "strings"

// Kind is a way to choose a member.
type Kind uint8

// The kinds.
const (
	RoundRobin       Kind = iota // members take turns (smooth weighted round robin)
	LeastConnections             // the fewest requests in flight for its weight
	Random                       // a weighted draw
	PowerOfTwo                   // the better of two weighted draws, by requests in flight
	PeakEWMA                     // the better of two weighted draws, by latency and requests in flight
	LeastTime                    // the lowest product of latency and requests in flight
	IPHash                       // rendezvous hash of the key, which is the client's address
	ConsistentHash               // rendezvous hash of the key, with bounded load
	Maglev                       // Maglev hash of the key (Eisenbud et al., NSDI 2016)
)

// kindNames are the canonical names, by Kind.
var kindNames = [...]string{
	"round_robin", "least_connections", "random", "power_of_two_choices", "peak_ewma",
	"least_time", "ip_hash", "consistent_hash", "maglev",
}

// ParseKind returns the kind of a canonical name, in which '-' may stand for '_', and
// whether there is one.
func ParseKind(name string) (Kind, bool) {
	name = strings.ReplaceAll(name, "-", "_")
	for i, n := range kindNames {
		if n == name {
			return Kind(i), true
		}
	}
	return 0, false
}

// String returns the canonical name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Keyed reports whether the kind chooses by Request.Key.
func (k Kind) Keyed() bool { return k == IPHash || k == ConsistentHash || k == Maglev }
