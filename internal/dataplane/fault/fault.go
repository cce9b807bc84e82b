// Package fault holds the one table of what can go wrong with a request. A
// Kind names a cause; its Row says which side is to blame, what the client is
// told, whether another target may be tried, what is logged and counted, and
// what an operator can do about it. Everything that speaks of failures (the
// response writer, the metric labels, the logs, "sentinel why" and the
// reference page) reads this table and nothing else.
package fault

import (
	"errors"
	"iter"
)

// Kind is one cause of failure. The zero Kind is None. A Kind is an error, so
// the request path returns it as it is, without an allocation.
type Kind uint8

// Side says who has to change something for the failure to go away.
type Side uint8

// The sides.
const (
	// SideClient: the request, or the way it was sent.
	SideClient Side = iota + 1
	// SideUpstream: the application, its host or the network towards it.
	SideUpstream
	// SideSelf: this proxy, its limits or its host.
	SideSelf
)

// String returns the side as a metric label: client, upstream or self.
func (s Side) String() string {
	switch s {
	case SideClient:
		return "client"
	case SideUpstream:
		return "upstream"
	case SideSelf:
		return "self"
	}
	return "none"
}

// Row is what the table says about one Kind. Rows are read-only.
type Row struct {
	// Name is the Go name of the Kind.
	Name string
	// Label is the value of the metric label fault, in snake_case.
	Label string
	// Code is the short code shown to clients: C, U or S for the side and two digits.
	Code string
	// Side is who has to act.
	Side Side
	// Status is the status code answered while the response head has not been sent yet.
	// 499 is never sent: it marks a client that is gone.
	Status int
	// Text is the fixed text for logs: lower case, without commas, quotes, addresses or names.
	Text string
	// Unsent reports that no byte of the request can have reached an application,
	// so that trying another target is safe for every method.
	Unsent bool
	// Routed reports that the failure can follow the choice of a route.
	Routed bool
	// Closes reports that the client connection can't be used for another request.
	Closes bool
	// RetryAfter is the value of the Retry-After field in seconds; 0 sends none.
	RetryAfter int
	// Meaning says in one sentence what happened.
	Meaning string
	// Causes lists what is behind it, the likeliest first.
	Causes []string
	// Remedy says in one sentence what to do first.
	Remedy string
	// Commands lists commands that an operator can type to look closer.
	Commands []string
}

// Row returns the table's row of k; an unknown Kind has the row of Internal.
func (k Kind) Row() *Row {
	if k >= Count {
		k = Internal
	}
	return &rows[k]
}

// Error returns the fixed text of k. It makes every Kind an error.
func (k Kind) Error() string { return k.Row().Text }

// String returns the metric label of k.
func (k Kind) String() string { return k.Row().Label }

// Status returns the status code of k.
func (k Kind) Status() int { return k.Row().Status }

// Side returns who has to act on k.
func (k Kind) Side() Side { return k.Row().Side }

// All yields every Kind but None, in the order of the table.
func All() iter.Seq[Kind] {
	return func(yield func(Kind) bool) {
		for k := None + 1; k < Count; k++ {
			if !yield(k) {
				return
			}
		}
	}
}

// Parse finds a Kind by its label, its code or its Go name, all matched exactly.
// ok is false when there is no such Kind.
func Parse(text string) (k Kind, ok bool) {
	for k := range All() {
		r := k.Row()
		if text == r.Label || text == r.Code || text == r.Name {
			return k, true
		}
	}
	return None, false
}

// Fault is a Kind with the error behind it. It is made where the cause is worth
// a look in a debug log; the request path returns the bare Kind otherwise.
type Fault struct {
	// Kind is the row of the table.
	Kind Kind
	// Cause is the error behind it. It may hold addresses and names, so it
	// appears in no metric and in no response.
	Cause error
}

// With returns cause wrapped as a fault of kind k, or k itself when cause is nil.
func (k Kind) With(cause error) error {
	if cause == nil {
		return k
	}
	return &Fault{Kind: k, Cause: cause}
}

// Error returns the fixed text and the cause.
func (f *Fault) Error() string { return f.Kind.Error() + ": " + f.Cause.Error() }

// Unwrap gives errors.Is and errors.As both the Kind and the cause.
func (f *Fault) Unwrap() []error { return []error{f.Kind, f.Cause} }

// Of returns the Kind of err: None for nil, the Kind inside err if there is
// one, and Internal for any other error, which nobody has classified.
func Of(err error) Kind {
	switch e := err.(type) {
	case nil:
		return None
	case Kind:
		return e
	case *Fault:
		return e.Kind
	}
	return ofWrapped(err)
}

// ofWrapped stands apart because the address of k makes it escape.
func ofWrapped(err error) Kind {
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Internal
}
