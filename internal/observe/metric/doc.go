// Package metric counts what happens and shows it to Prometheus.
//
// The request path holds handles (Route, Upstream, Target, Listener) that were
// looked up by name when the snapshot was built. A handle has one cell per
// worker, each on cache lines of its own, so counting is an atomic add that
// nobody else waits for:
//
//	Registry ── Route "api" ──┬─ cell 0: counts by code, duration buckets, sum
//	        │                 ├─ cell 1: ...
//	        │                 └─ faults by kind (shared: they are rare)
//	        ├── Upstream "a" ─┬─ cell 0: latency buckets, sum, connections
//	        │                 ├─ window: last 5 minutes, log-linear
//	        │                 └─ Target "10.0.0.1:8080": health, breaker
//	        └── Listener "http" ── cell 0: accepted, closed
//
// A scrape adds the cells up; the families table in families.go says what it
// emits. Handles live on by name across reloads, so a counter never goes
// backwards while its name stays; Sweep drops what the configuration no longer
// names. Label values come from the configuration only, never from a client.
package metric
