// Package listen is where connections come from: it binds or inherits sockets,
// accepts, keeps the caps on open connections and remembers every connection so
// that a drain can reach it.
//
// A Registry holds the listeners of the process by name. A reload prepares a
// Change, which binds every new socket before anything is touched, and then
// commits or aborts it as a whole:
//
//	Registry -- Listener "http"  -- socket 0.0.0.0:8080 -- accept loop
//	        |                   \-- socket [::]:8080    -- accept loop
//	        |                   \-- connections (intrusive list)
//	        \-- Listener "admin" ...
//
// A listener keeps its slot, a small integer, and its connections for as long as
// its name stays in the configuration, whatever happens to its addresses. A
// socket that two generations share passes from one to the next without being
// closed.
//
// At a cap, and when the process is out of descriptors, clients get a canned
// answer that is written without reading a byte. Clients on the loopback pass all
// the same, marked HealthOnly, so that health probes of the host always work. Peers that
// Options.Screen doesn't let in are reset before anything is spent on them, and Evict ends
// what they have open.
//
// Peers among a listener's Senders speak for others: each of their connections begins with a
// PROXY header, and the client named there is whose limits, bans and lists count. What such a
// connection shows before the header is whole is counted for nobody but the process and the
// listener, and ends at a deadline.
package listen
