// Package probe asks targets whether they are well: active health checks, which run beside
// the traffic and tell their owner each change of a verdict.
//
// A target is unknown until its first probe ends; that probe alone decides, so that a start
// takes one answer and not a row of them. From then on thresholds decide: so many successes
// in a row make an unhealthy target healthy, so many failures in a row the reverse. A probe
// that failed for a reason of this process (no file descriptor, no free port) decides
// nothing.
//
// Every probe goes the whole way (name, connection, TLS, answer) over a connection of its
// own and writes down how long each layer took and which one failed: the Transcript.
//
// A target that waits costs a timer and no goroutine. Timers put targets in one of two
// queues; at most probesAtOnceMax goroutines empty them. Targets that are down have a queue
// and a bound of their own, so that a rack that hangs until the timeout can't keep the
// others from being probed.
package probe
