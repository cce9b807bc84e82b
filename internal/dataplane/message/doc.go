// Package message is what the engines and the spine hand each other: a parsed
// head whose fields are offsets into the connection's buffer, a reader of
// content, and the interfaces by which an answer is written.
//
// A head is never turned into a map. The spine edits it by marking field lines
// as dropped and by appending complete lines to Extra; the engine that writes it
// copies the runs of kept lines in one go. Framing fields (Content-Length,
// Transfer-Encoding) and hop-by-hop fields are never copied: the writing engine
// frames anew.
package message
