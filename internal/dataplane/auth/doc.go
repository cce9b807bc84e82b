// Package auth tells who a client is: by name and password (RFC 7617) against a users file,
// or by a JSON Web Token (RFC 7519) against a set of keys.
//
// A password takes a twentieth of a second of a processor to check, by design, and a token
// some ten microseconds. Both remember for a while what was right, by a keyed hash: neither
// passwords nor tokens are kept. Nothing here waits, reads files or knows of HTTP messages;
// who calls bounds how many passwords are checked at once.
package auth
