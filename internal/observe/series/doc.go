// Package series remembers the last hour: what routes, upstreams and the process did in each
// ten seconds of it.
//
// One goroutine of the control side reads the counters that the request path keeps anyway
// and writes down by how much they have grown:
//
//	Registry.Read ──> Recorder ──┬─ track "api"      [360] requests, errors, refusals, durations
//	every 10 s                   ├─ track "backend"  [360] the same of an upstream
//	                             ├─ tally api/U01    [360] how often the fault happened
//	                             └─ moments          [360] connections, memory, queue
//
// Every ring has a fixed size and every kind of ring a bound on how many there are
// (RoutesMax, UpstreamsMax, FaultsMax), so that all of it takes BytesMax at most, whatever
// the traffic; names beyond a bound are counted and left out.
package series
