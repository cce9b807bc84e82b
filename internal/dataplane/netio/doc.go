// Package netio is the one place where the data plane waits: a connection that
// straight-line code reads and writes, its deadlines, dialling, and tasks that run
// beside an exchange.
//
// On TCP it works on the file descriptor inside the callbacks of syscall.RawConn.
// The runtime's poller is edge-triggered and forgets an edge when a new read
// begins, so the usual read tries first and waits after EAGAIN. Two shapes avoid
// that failed system call, which costs as much as all of our parsing:
//
//	WriteThenRead   the write happens after the poller was armed, so the answer's
//	                edge can't have come before: wait at once
//	Turns           one callback serves many requests: no edge is forgotten between
//	                two returns of the same callback
//
// What this leaves open is a FIN that arrives in the same edge as the last bytes:
// a short read doesn't show it and no further edge comes. The Clock therefore
// peeks once at every connection that has waited verifyAfter for its next request.
//
// TLS is a Layer: it stands on the Transport of a Conn, whose descriptor, deadlines and turns
// stay what they are. Any other net.Conn (in-memory pipes of tests) is served through its own
// Read and Write with the same interface.
//
// Only the goroutine that owns a Conn may close it; others interrupt it.
package netio
