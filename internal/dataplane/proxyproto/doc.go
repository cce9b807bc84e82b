// Package proxyproto reads and writes the header of the PROXY protocol, by which one proxy
// tells the next whose connection it hands on (the specification of HAProxy, versions 1
// and 2).
//
// It is strict: what isn't exactly a header is malformed, every length must come out, and a
// checksum that is there must be right. Whom to believe is decided elsewhere, package
// listen: anybody could send a header.
package proxyproto
