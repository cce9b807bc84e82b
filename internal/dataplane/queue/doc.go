// Package queue is the concurrency gate of one upstream: how many requests are in
// progress at once, who waits for a place and for how long, and who is refused when
// that no longer helps.
//
//	          room                          Leave
//	Enter ------------> in progress --------------->
//	  |                     ^   a place that is freed goes to the first waiter
//	  | no room             |
//	  +---> Critical  [w] [w] [w]
//	  +---> High      [w]
//	  +---> Normal    [w] [w]          all lines together hold Limits.Pending
//	  +---> Low       [w] [w] [w]
//
// The state that every request touches is one word: requests in progress, limit, and
// whether anybody waits. While nobody does, Enter and Leave are one atomic operation
// each. The bit for "somebody waits" closes that path, so a newcomer can't pass a
// waiter; the lines themselves stand behind a short lock that nobody holds while waiting.
//
// An Adaptive finds the limit by itself, from the latency of the requests.
package queue
