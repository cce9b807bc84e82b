// Package tlsedge ends TLS where clients connect: it chooses the certificate by the server
// name, asks for client certificates where the configuration wants them, resumes sessions
// and says what a handshake has settled.
//
//	Edge -- all that a listener needs
//	  |-- Site "a.example", "*.b.example": certificates, and what is asked of clients
//	  \-- Site (default)
//
// An exact name comes before a wildcard, which stands for one label, and the default site
// takes what no name matches. Sites that ask the same of clients share a Policy: a request
// may be for any host of the policy that its connection was made under, and a ticket opens
// only for the server name and the policy that it was sealed for.
//
// An Edge doesn't change, but for the certificates of a Site, which may be replaced while it
// serves. The cryptography is that of crypto/tls.
package tlsedge
