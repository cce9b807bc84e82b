package resolve

import "time"

// Limits of what is held and asked.
const (
	// SourcesMax is how many sources a Resolver follows; Set leaves out those beyond.
	SourcesMax = 10_000
	// TargetsMax is how many targets a file may list.
	TargetsMax = 10_000
	// AddressesMax is how many addresses of a name, and records of a service, are used:
	// the first in sorted order.
	AddressesMax = 256
	// WeightMax is the largest weight in a file, that of SRV too.
	WeightMax = 65_535

	recordsMax   = 20_000 // names and services that are followed
	lookupsMax   = 32     // look-ups at the same time; each asks both families at once
	serversMax   = 8
	searchMax    = 16 // domains of the search list that are tried
	attemptsMax  = 2  // rounds over the servers when one timed out
	chainMax     = 16 // CNAMEs followed in an answer
	udpBytesMax  = 1232
	fileBytesMax = 4 << 20
	lineBytesMax = 1024
	confBytesMax = 64 << 10
)

// Times.
const (
	ttlMinDefault  = 5 * time.Second
	ttlMinFloor    = time.Second
	ttlMaxDefault  = 300 * time.Second
	timeoutDefault = 2 * time.Second

	retryFirst = time.Second
	retryMax   = 30 * time.Second
	pollEvery  = time.Second
	settleMax  = 5 * time.Second       // how long new questions hold a source's update back
	gather     = 50 * time.Millisecond // how long changes are gathered before they are told
)
