// Package resolve keeps the addresses behind the targets of upstreams: names by their A
// and AAAA records, services by SRV records, and lists of targets in files.
//
// All work happens beside the traffic. Four kinds of goroutines share one mutex, which is
// never held across a wait:
//
//	schedule   starts look-ups whose time has come, at most 32 at once
//	look       one look-up: asks, stores what to keep, says when to ask again
//	poll       each second: has a file, /etc/hosts or /etc/resolv.conf changed?
//	tell       hands changes to Options.Changed, one at a time
//
// A source is what a configuration names; a record is one question that is asked again
// and again. Sources share records: a name that ten upstreams use is asked once, and a
// source that changes only its weight keeps its answer.
//
// What holds:
//
//   - An answer lives for its TTL, the smallest of its CNAME chain, kept within TTLMin and
//     TTLMax. Up to a tenth is added by chance so that look-ups don't march in step.
//   - All addresses of both families are used, sorted, so that a rotated answer is no
//     change. IPv6 link-local, unspecified and multicast addresses are passed over.
//   - A failed look-up changes nothing but the state that is reported: the last good answer
//     stays through NXDOMAIN, empty answers, SERVFAIL, REFUSED, timeouts and garbage, and
//     is asked for again after 1 s, 2 s, 4 s and so on up to 30 s. When only one family
//     fails, its last addresses stay beside the fresh ones of the other; a family that
//     never had an address is passed over, because some servers can't answer AAAA.
//   - A source whose questions changed (a new SRV target, a new line in a file) keeps its
//     old endpoints until the new names have answered or 5 s have passed.
//   - localhost and names below it are 127.0.0.1, without a query (RFC 6761 section 6.3).
//     An upstream on ::1 is written as an address: of two addresses one would mostly refuse.
//   - A name in the hosts file is not asked for.
//   - A name without a trailing dot goes through the search list of resolv.conf
//     (resolv.conf(5)); a candidate that fails otherwise than by not existing ends the
//     search, because the next one may be another host. Options.Servers asks names as they
//     are.
//   - SRV (RFC 2782): the lowest priority that has an address is used, the others are not.
//     Addresses in the additional section are taken as they are.
//   - A file without an entry is taken for a broken writer: the last good list stays and
//     the error is reported, as with a broken line or a file that is gone. To take all
//     targets away, remove the source or give them weight 0. Files are best replaced by
//     rename: one that is written in place may be read half done, until the next second.
package resolve
