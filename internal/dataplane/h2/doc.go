// Package h2 speaks HTTP/2 (RFC 9113): it reads and writes frames and hands each stream to
// the handler of its connection as one more exchange.
//
//	bytes -> frames -> field sections -> message.Request -> Handler      (server)
//
// The connection's goroutine reads. It never writes and never waits for a stream, so that a
// peer that sends, asks for windows or gives up is always heard. Each stream is served by a
// task of its own. Whoever has something to send appends whole frames to one bounded buffer;
// one task at a time writes that buffer, so that many small answers leave in one system call.
//
// What a stream may hold is bounded by windows: content that nobody has read yet by ours,
// which grow only as it is read, and answers by those of the peer and by the room in the
// buffer. A wait for either ends when the peer makes no progress.
//
// A head becomes the lines and offsets that the HTTP/1 engine yields, so that what follows
// can't tell them apart.
package h2
