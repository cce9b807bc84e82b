// Package incident keeps the record of an incident: a folder for each, named
// INC-YYYYMMDD-NNN, that holds what happened and when (incident.json), what was known at
// some moments of it (snapshot-1, snapshot-2, ...) and, once it has ended, its post-mortem.
//
// A snapshot is taken by several sources at once, each bounded in time and bytes; one that
// fails is noted in the snapshot's manifest and hinders no other. What a person would be
// sorry to hand on is masked before it is written: secrets of configurations. Folders are
// for their owner alone.
//
// Nothing here is on the path of requests: the running proxy is asked over its admin
// socket, and a dead one leaves the sources that need it empty.
package incident
