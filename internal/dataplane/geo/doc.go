// Package geo knows where addresses are: in which country and in which autonomous system, by
// MaxMind databases that somebody else has read, and what lists of either say.
//
// A lookup takes no lock and allocates nothing. A Memo spares those of an address that is
// asked for again, such as the client of a connection.
package geo
