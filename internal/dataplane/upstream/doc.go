// Package upstream is a named set of targets, what is known of each, and the choice among
// them.
//
//	Upstream (one generation of the configuration)
//	   targets ──> Target {Endpoint, weight, breaker, ejection}
//	   view    ──> the targets that take requests now, and the policy that picks among them
//	Endpoint (lives across reloads): pool, load, verdict of the checks, drained or not
//
// A view is immutable. Whoever learns something (a probe, a breaker, an operator) calls
// Refresh, which builds the next one; a request reads one pointer.
package upstream
