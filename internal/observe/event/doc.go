// Package event keeps what changes about upstreams and the process: a target that fails,
// a breaker that opens, a drain. Each change is one Event, kept in a ring of fixed size
// for whoever asks, and one line of the log.
//
// An event that comes in is put into the ring under a short lock. The ring is the queue
// of the log too: whoever emits while nobody writes lines writes them, outside of the
// lock, until the ring holds none that is new; others who emit meanwhile leave theirs to
// him. So lines come in the order of the events, a log that stands still holds up one
// caller at most, and a change that repeats itself fills the log only to a bound for
// each second. What the bound keeps out is counted and the count is logged.
package event
