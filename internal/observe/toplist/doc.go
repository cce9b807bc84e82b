// Package toplist knows at any time which keys stand for most of the traffic: which clients,
// routes, paths, user agents, faults. A List is one such dimension. It always counts, in
// memory that New takes once, whatever clients send.
//
//	exchanges --> cell of the worker --> summary of this slice --> ring of 60 past slices
//	               64 records, by hash;   Space-Saving: the keys     what each slice's summary
//	               the same key again     that matter, a filter      said at its end
//	               is one addition        for all others                        |
//	                                                  \_____________ Top _______/
//
// A cell adds up what comes in a row from few keys and is mostly all that an exchange touches.
// A record that has to make room for another key goes on to the summary, so that nothing is
// lost or sampled.
//
// The summary is filtered Space-Saving (Homem and Carvalho 2010). It lists a fixed number of
// keys with their counts. A key that isn't listed is added to one of eight times as many
// counters of the filter, by hash; once that counter comes up to the smallest count of the
// list, the key takes that place, with the counter as what it may have been given too much. So
// a flood of keys that never come again moves the filter, not the list.
//
// Every five seconds the summary becomes a slice of the ring and an empty one begins. Top adds
// up the slices of a window; a key that a slice doesn't list may have had up to its filter's
// largest counter there, which goes into count and bound.
//
// What is certain: for each entry, ErrorBound is at most a share of 1/entries of all that was
// observed in the window, the true count lies between Count-ErrorBound and Count, and any key
// with a greater share than that is listed. With the usual skew, bounds are far smaller. Keys
// with the same hash count as one, so hashes are to be 64 bits and seeded in secret.
//
// Memory: 160 bytes an entry and slice, which is 2.6 MB for 256 entries, and 10 KB a cell.
//
// Keys are raw bytes that clients chose, up to KeyBytesMax of them: whoever prints one has to
// escape what isn't printable, and whoever writes one into a page or a label what means
// something there.
package toplist
