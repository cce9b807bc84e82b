// Package challenge asks clients for a little work before their requests go on: a stateless
// proof of work for browsers, a signed wait for those without script.
//
// # The walk
//
//	GET /page           Decide: over the threshold, a navigation, no token
//	  <- 503, a page    with a seed, its difficulty and a ticket (Respond)
//	POST /.sentinel/challenge   seed, answer and "to"; or GET with the ticket after the wait
//	  <- 303            Set-Cookie with a token, to the same path with a check (Answer)
//	GET /.sentinel/challenge?check=...
//	  <- 303 /page      the token came back; the fragment is kept by the browser
//	  <- 403, a notice  it did not: cookies are off. Said once, nothing in it goes on by itself
//
// What is handed out (seed, ticket, token, check) is one form of sealed text: see Keys. All are
// bound to the host and to the address prefix of the client, none to a page or to a tab, so
// that tabs don't get into each other's way, and the state of the ladder is in the texts alone.
//
// # The work
//
// An answer is a number n below 2^64 such that SHA-256(seed || n) begins with as many zero
// bits as the seed says, where seed is the 42 bytes under the text and n has 8 bytes, big
// endian: 50 bytes, one block of SHA-256. The check is one HMAC and one hash.
//
// A script of ours on an old phone (small cores of 2015) is taken to make 100,000 hashes a
// second; it makes 2.4 million in Node 20 on one core of a server. Answers take 2^d hashes in the
// mean, and three times that in one of twenty cases: 2^16 are 0.66 s in the mean and 2 s in that
// case, so DifficultyMax is 16. The default of 12 is 0.04 s there. A browser that only
// interprets (iOS in lockdown mode) is some 40 times slower than one that compiles.
//
// This is a tax on clients without a script engine and on careless floods; it stops nobody with
// a graphics card, and what passes by its form (gRPC, upgrades, requests with credentials) is
// easily imitated. So it stands beside rate limits and never replaces them.
//
// # Replay
//
// A seed or ticket buys one token. Spent remembers what was used for as long as it could be
// used again, in a table of fixed size; within Grace the same one from the same prefix is
// served again, for requests sent twice. The bounds: each process has its own table, so n
// proxies with one key file can be paid n times with one answer, and a restart once more; a
// bucket whose places are all in use gives up its oldest, which wants over 100 answers a second.
// What is bought so is a token for the same host and prefix, which could be copied anyway.
//
// Times are in seconds since 1970, since what is sealed lives longer than a process and is
// shared by a fleet; SkewMax is how far two clocks may differ.
package challenge
