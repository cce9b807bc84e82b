// Package ban keeps the bans of clients: who is kept out, until when, by whom and why. It
// tells the data plane by a block.Table, remembers all in a file so that they outlive
// reloads and restarts, lifts each when its time is over, and refuses those that would lock
// out the operator or break the service.
//
//	operator ──> Ban, Unban ──┬──> block.Table, which accept and every request ask
//	time ──> expiry ──────────┤
//	start ──> file ───────────┴──> file, events, connections that end
package ban
