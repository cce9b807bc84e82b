// Package flight is the flight recorder: it keeps whole records of the requests that somebody
// will ask about, which are those that failed, the slowest, some of those that were refused,
// and those whose sender asked for it.
//
//	cell 0 ──┬─ ring of failures   (5xx, and faults of upstreams or the proxy)
//	         ├─ ring of the slowest
//	         ├─ ring of refusals   (faults of clients, a sample)
//	         └─ ring of those that asked
//	cell 1 ── ...
//
// A record has a fixed size and lies in its ring; what a client sent is cut to fit. Each ring
// takes so many records a second and counts the rest, so that a flood doesn't push out what
// came before it: a ring lasts for two minutes at least. A request that is neither failed nor
// slow costs one comparison; writing down another costs no allocation. Nothing survives the
// process.
package flight
