// Package acme has certificates issued and renewed by an authority that speaks ACME (RFC
// 8555), and puts them where clients are shown them.
//
//	configuration ──> Keeper.Apply ──> certmagic: order, prove, store, renew (RFC 9773)
//	                       │                │ obtained
//	                       └── Name.Replace <
//	proofs: http-01      a request on a listener without TLS  ──> Keeper.Answer
//	        tls-alpn-01  a handshake on a listener with TLS   ──> Keeper.Prove
//	        dns-01       a record that a webhook sets
//
// Nothing here is waited for by a start, a reload or a request. What fails is told as an
// event and counted, and tried again for as long as the name is wanted.
package acme
