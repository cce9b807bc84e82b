// Package retry says whether and when a request may be tried again. A Policy is what a route
// allows: after what, how often and with what pauses. A Budget is what an upstream allows: a
// share of its live requests, so that retries can't bury targets that are in trouble.
package retry

import (
	"math"
	"math/bits"
	"strings"
	"time"
)

// Condition is a set of causes for which an attempt may be repeated.
type Condition uint16

// The conditions. A configuration spells them as in the comments.
const (
	ConnectFailure Condition = 1 << iota // connect_failure: no connection came about
	RefusedStream                        // refused_stream: the target says it hasn't processed the request (RFC 9113 section 8.7)
	Reset                                // reset: the connection broke before the response head
	Timeout                              // timeout: no response head in time
	GatewayError                         // gateway_error: the response is 502, 503 or 504
	ServerError                          // server_error: the response is 5xx
)

// ParseCondition returns the condition of that name; '-' and '_' are the same. ok is false
// for a name that is none.
func ParseCondition(name string) (c Condition, ok bool) {
	switch strings.ReplaceAll(name, "-", "_") {
	case "connect_failure":
		return ConnectFailure, true
	case "refused_stream":
		return RefusedStream, true
	case "reset":
		return Reset, true
	case "timeout":
		return Timeout, true
	case "gateway_error":
		return GatewayError, true
	case "server_error":
		return ServerError, true
	}
	return 0, false
}

// Statuses is a set of status codes from 400 to 599. The zero value is empty.
type Statuses [4]uint64

// Add puts code into the set and reports whether it can be in one.
func (s *Statuses) Add(code int) bool {
	if code < 400 || code > 599 {
		return false
	}
	i := code - 400
	s[i/64] |= 1 << (i % 64)
	return true
}

// Has reports whether code is in the set.
func (s *Statuses) Has(code int) bool {
	if code < 400 || code > 599 {
		return false
	}
	i := code - 400
	return s[i/64]>>(i%64)&1 != 0
}

// CallStatuses is a set of status codes of gRPC calls. The zero value is empty.
type CallStatuses uint32

// callStatusMax is the largest status code of a call.
const callStatusMax = 16

// callStatuses are the names of the codes from 1 on (https://grpc.io, statuscodes).
var callStatuses = [callStatusMax]string{
	"cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied", "resource_exhausted",
	"failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
}

// AddName puts the status of that name into the set and reports whether there is one; '-' and
// '_' are the same.
func (s *CallStatuses) AddName(name string) bool {
	name = strings.ReplaceAll(name, "-", "_")
	for i, known := range callStatuses {
		if name == known {
			*s |= 1 << (i + 1)
			return true
		}
	}
	return false
}

// Has reports whether the set holds the status that a grpc-status field says.
func (s CallStatuses) Has(field []byte) bool {
	if len(field) == 0 || len(field) > 2 {
		return false
	}
	code := 0
	for _, c := range field {
		if c < '0' || c > '9' {
			return false
		}
		code = 10*code + int(c-'0')
	}
	return code <= callStatusMax && s>>code&1 != 0
}

// Policy says after what a request is tried again, how often and how. The zero value tries
// once.
type Policy struct {
	Attempts      int           // tries at most, the first among them
	On            Condition     // what is tried again
	Statuses      Statuses      // responses that are tried again, besides those of On
	NonIdempotent bool          // whether methods that aren't idempotent (RFC 9110 section 9.2.2) are tried again too
	PerTry        time.Duration // how long one try may take to its response head; 0: what the upstream allows
	Backoff       time.Duration // the longest pause before the second try; doubles with each further one; 0: no pauses
	BackoffMax    time.Duration // the longest pause of all; 0: no maximum
	BodyBytesMax  int64         // bytes of a request body that are kept for another try
	Calls         CallStatuses  // of gRPC calls that failed and may be repeated, whatever their method
	HedgeAfter    time.Duration // without a response head for so long, a second try goes beside the first; 0: never
}

// Status reports whether a response with that status code is tried again.
func (p *Policy) Status(code int) bool {
	switch {
	case p.On&ServerError != 0 && code >= 500 && code <= 599:
		return true
	case p.On&GatewayError != 0 && code >= 502 && code <= 504:
		return true
	}
	return p.Statuses.Has(code)
}

// Delay returns how long to pause before the next try, after try tries, counted from 1:
// anything from 0 to Backoff, which doubles with each try up to BackoffMax. Pauses that are
// random from 0 on keep requests that failed together from coming again together. random is
// a random number.
func (p *Policy) Delay(try int, random uint64) time.Duration {
	longest, limit := p.Backoff, p.BackoffMax
	if longest <= 0 {
		return 0
	}
	if limit <= 0 {
		limit = math.MaxInt64
	}
	if doublings := max(try-1, 0); doublings >= bits.LeadingZeros64(uint64(longest)) {
		longest = limit
	} else {
		longest = min(longest<<doublings, limit)
	}
	pause, _ := bits.Mul64(random, uint64(longest)+1)
	return time.Duration(pause)
}
