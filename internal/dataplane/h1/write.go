package h1

import (
	"strconv"

	"sentinel/internal/dataplane/message"
)

// AppendRequest appends a whole request, head and content in one piece.
func AppendRequest(dst []byte, o *message.Outgoing) []byte {
	dst = AppendRequestHead(dst, o)
	if o.Framing == message.Chunked {
		return AppendLastChunk(AppendChunk(dst, o.Content), o.Trailers)
	}
	return append(dst, o.Content...)
}

// AppendRequestHead appends the head of a request for an upstream, with its framing.
func AppendRequestHead(dst []byte, o *message.Outgoing) []byte {
	h := o.Head
	dst = append(dst, h.Bytes(h.MethodAt)...)
	dst = append(dst, ' ')
	dst = append(dst, o.Path...)
	if h.HasQuery {
		dst = append(dst, '?')
		dst = append(dst, o.Query...)
	}
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = h.AppendFields(dst)
	if o.Upgrade != "" {
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, o.Upgrade...)
		dst = append(dst, '\r', '\n')
	}
	dst = appendFraming(dst, o.Framing, o.Length)
	return append(dst, '\r', '\n')
}

func appendFraming(dst []byte, f message.Framing, length int64) []byte {
	switch f {
	case message.Length:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		return append(dst, '\r', '\n')
	case message.Chunked:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return dst
}

// AppendChunk appends one chunk of content; an empty one is left out, since it would end
// the message.
func AppendChunk(dst, content []byte) []byte {
	if len(content) == 0 {
		return dst
	}
	dst = strconv.AppendUint(dst, uint64(len(content)), 16)
	dst = append(dst, '\r', '\n')
	dst = append(dst, content...)
	return append(dst, '\r', '\n')
}

// AppendLastChunk appends the end of chunked content with its trailer section, which is
// empty or complete field lines.
func AppendLastChunk(dst, trailers []byte) []byte {
	dst = append(dst, '0', '\r', '\n')
	dst = append(dst, trailers...)
	return append(dst, '\r', '\n')
}

// appendStatusLine appends the status line of h. A reason phrase is only carried, never
// made up beyond the usual ones.
func appendStatusLine(dst []byte, h *message.Head) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(h.Status), 10)
	dst = append(dst, ' ')
	if !h.Reason.Empty() {
		dst = append(dst, h.Bytes(h.Reason)...)
	} else {
		dst = append(dst, message.ReasonPhrase(h.Status)...)
	}
	return append(dst, '\r', '\n')
}
