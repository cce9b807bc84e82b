// Package limit bounds how often a key may do something: the requests of a client, of a
// route, or of the holder of a cookie. It counts by GCRA, the generic cell rate algorithm
// (ITU-T I.371 annex A): all that is remembered of a key is the moment at which its credit
// will be full again. A request moves that moment one interval on; it is refused where that
// would move it further ahead of now than a whole burst lasts.
//
//	        |<-------------- window: Burst intervals -------------->|
//	now ----+---------------+-----------------------+---------------+-----> time
//	        |<--- spent --->|<------ still free --->|
//	                        full again                moves right by one interval a request,
//	                                                  and comes nearer by itself
//
// A table holds the moments of one rule, in sets of seven places that a key's hash leads to:
// seven keys and counts of refusals on one cache line, seven moments on the next. A few
// mutexes, each for many sets, stay in the cache. A key whose moment has passed is as good as
// one never seen, so nothing expires or sweeps: its place is taken when it is wanted. Where a
// set is full of keys in debt, the one closest to full credit gives way; one that is blocked
// does so only where all are, and then the one that was refused least. So a flood of new keys
// pushes out its own, not the one that hammers.
//
// Memory is 128 bytes for seven entries, taken by NewTable and never after: 1.2 MB for the
// default of 65,536, and 16 KB for the mutexes. A decision takes about 30 ns, and one fetch
// from memory where the set is in no cache.
//
// Moments are in ticks, of which a nanosecond has as many as make the interval of the rule a
// whole number, and 32 where that would take more; then the interval is rounded up, which
// makes the limit stricter by less than 1/32 ns a request. Clocks from 0 to nine years
// count right. A clock that lags behind that of an earlier call makes a decision no less
// strict: over all calls, at most Burst plus what the rate gives from the earliest now to the
// latest is allowed.
//
// A table may count together with those of other processes: see NewShared.
package limit
