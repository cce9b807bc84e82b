// Package h1 is the HTTP/1.1 engine: bytes to message and back, on both sides.
//
// It is strict in both directions. What RFC 9112 leaves to leniency and what has let
// two parsers disagree is refused: Content-Length beside Transfer-Encoding, repeated,
// signed or empty lengths, any transfer coding but one final chunked, bare CR or LF,
// NUL and other control bytes, folded lines, white space before a colon. Messages are
// always framed anew; framing fields are never copied.
//
// Files: chars, fields, request, response parse; chunk decodes content; write encodes;
// server and content serve a connection; client sends requests over one.
package h1
