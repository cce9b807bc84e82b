// Package kernelban has the kernel refuse connections of banned clients: in a table of
// nftables of its own it keeps the prefixes that are banned, each with the time that is left,
// and a rule drops what begins a connection from one of them to a port of a listener.
//
//	table inet sentinel-HASH-PID
//	    set ports   listeners' ports
//	    set bans4, bans6   intervals with timeouts
//	    chain input   tcp dport @ports, a SYN alone, saddr @bans4: counter, drop
//
// Only the first packet of a connection is dropped: connections that are open end as bans end
// them, with the answer in hand. Who the machine itself is (127.0.0.1, ::1) is never asked. The
// bans hold in the process all the same, so whatever goes wrong here costs only processor time.
//
// The table is the process's own, by its name. It goes when the process ends; should the
// process be killed, its entries go by their time, a quarter of an hour at most, and the next
// process of the same state folder takes the table away.
package kernelban
