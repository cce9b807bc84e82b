// Package block knows which clients are kept out: by bans, which come and go while the
// process serves, and by access lists, which a configuration holds.
//
// Both are tables of prefixes in which the longest one that holds an address decides; a list
// may go on to judge by where the address is (package geo). A
// Table of bans points at an immutable tree; whoever changes it stores a new one, so that
// lookups take no lock and allocate nothing. A List is immutable as a whole.
//
// An address or prefix of IPv4 that is mapped into IPv6 (RFC 4291 section 2.5.5.2) is taken
// for what it stands for, and zones don't count.
package block
