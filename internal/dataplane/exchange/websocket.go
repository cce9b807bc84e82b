package exchange

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it, and nothing is kept secret by it
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"

	"sentinel/internal/dataplane/message"
)

// A client of HTTP/2 opens a WebSocket without the two fields by which HTTP/1.1 makes sure that
// both sides mean one (RFC 8441 section 5.1). Towards the upstream they are ours.

// websocketKeyBytes is the length of a key: 16 random bytes in base64 (RFC 6455 section 4.1).
const websocketKeyBytes = 24

// addWebSocketKey asks the upstream for a WebSocket in the client's place.
func (x *exchange) addWebSocketKey() {
	h := &x.req.Head
	if !h.Connect {
		return
	}
	h.DropName("sec-websocket-key")
	h.DropName("sec-websocket-accept")
	var nonce [16]byte
	binary.NativeEndian.PutUint64(nonce[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(nonce[8:], rand.Uint64())
	base64.StdEncoding.Encode(x.buffer.websocketKey[:], nonce[:])
	h.Add("Sec-WebSocket-Key", x.buffer.websocketKey[:])
}

// accepted reports whether a response answers the key (RFC 6455 section 4.2.2).
func (x *exchange) accepted(h *message.Head) bool {
	i := h.FindName("sec-websocket-accept")
	if i < 0 {
		return false
	}
	want := websocketAccept(x.buffer.websocketKey)
	return string(h.FieldValue(i)) == string(want[:])
}

// websocketAccept returns what an upstream must answer to a key.
func websocketAccept(key [websocketKeyBytes]byte) (answer [28]byte) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum(append(append(make([]byte, 0, len(key)+len(guid)), key[:]...), guid...))
	base64.StdEncoding.Encode(answer[:], sum[:])
	return answer
}
