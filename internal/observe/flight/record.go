package flight

import (
	"net/netip"
	"time"

	"sentinel/internal/dataplane/fault"
)

// Class is why a request was kept.
type Class uint8

// The classes; each has a ring of its own.
const (
	Failed  Class = iota // answered with 5xx, or a fault of an upstream or the proxy
	Slow                 // among the slowest of its route
	Refused              // a fault of the client's side
	Asked                // its sender asked for it by a signed field
	classes
)

// String returns the class in one word.
func (c Class) String() string { return [...]string{"failed", "slow", "refused", "asked"}[c%classes] }

// Classes returns all classes.
func Classes() []Class { return []Class{Failed, Slow, Refused, Asked} }

// ClassOf returns the class of that name.
func ClassOf(name string) (Class, bool) {
	for c := range classes {
		if c.String() == name {
			return c, true
		}
	}
	return 0, false
}

// Phase is a part of a request's time.
type Phase uint8

// The phases, in the order in which they come. One that a request doesn't reach takes no time.
const (
	Head    Phase = iota // from its first byte to the end of its head
	Admit                // bans, access, limits, challenges, credentials
	Content              // waiting for content that is kept for another try
	Queue                // waiting for a place at the upstream
	Retry                // tries before the last one, and the pauses between
	Connect              // getting a connection to the target
	Answer               // sending the request and waiting for the head of the response
	Relay                // sending the response to the client
	phases
)

// String returns the phase in one word.
func (p Phase) String() string {
	return [...]string{"head", "admit", "content", "queue", "retry", "connect", "answer", "relay"}[p%phases]
}

// Marks says when each phase began, on the clock of the data plane; 0 where it wasn't reached.
type Marks [phases]time.Duration

// Facts is what is known of a request beside what its client sent. Names and addresses are
// those of the configuration.
type Facts struct {
	Client netip.Addr
	Status int // answered; 499 when the client had gone
	Fault  fault.Kind
	Marks  Marks // [Head] is when its first byte came
	Done   time.Duration

	Listener, Route, Upstream, Target string
	Limit, Shadowed                   string // the rate limit that found it too many; the policy in shadow mode that would have refused it
	BytesIn, BytesOut                 int64  // content from and to the client
	Tries                             int    // all of them, maybe more than are kept
}

// Try is one try at a target.
type Try struct {
	Upstream, Target string
	Began            time.Duration // on the clock
	Took             time.Duration
	Status           int // of the response head; 0 for none
	Fault            fault.Kind
}

// Request is what is noted of a request. The slices belong to the caller.
type Request struct {
	Facts
	Tried                                []Try // the first TriesMax count
	Method, Host, Path, Query, Agent, ID []byte
}

// TriesMax is how many tries of a request are kept.
const TriesMax = 4

// texts are what a client sent, in the order of Request.
const texts = 6

// textMax is how many bytes of each text are kept.
func textMax(i int) int { return [texts]int{16, 80, 160, 80, 80, 64}[i] }

// textBytes is how many bytes all texts take.
const textBytes = 16 + 80 + 160 + 80 + 80 + 64

// record is a request in its ring.
type record struct {
	Facts
	class Class
	tried [TriesMax]Try
	kept  int // of tried
	n     [texts]uint8
	cut   uint8 // a bit for each text
	text  [textBytes]byte
}

// write fills r.
func (r *record) write(class Class, q *Request) {
	r.Facts, r.class, r.cut = q.Facts, class, 0
	r.kept = copy(r.tried[:], q.Tried)
	at := 0
	for i, b := range [texts][]byte{q.Method, q.Host, q.Path, q.Query, q.Agent, q.ID} {
		limit := textMax(i)
		if len(b) > limit {
			r.cut |= 1 << i
		}
		r.n[i] = uint8(copy(r.text[at:at+limit], b))
		at += limit
	}
}

// read returns text number i.
func (r *record) read(i int) string {
	at := 0
	for j := range i {
		at += textMax(j)
	}
	return string(r.text[at : at+int(r.n[i])])
}
