package h1

import (
	"bytes"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
)

// parseResponse parses a response head (RFC 9112 section 4) from b into h. The framing
// it leaves is that of the fields alone; responseFraming adds what the request and the
// status say.
func parseResponse(b []byte, h *message.Head, lim *limits) (done bool, err error) {
	h.Reset(b[:min(len(b), lim.headBytesMax)])
	nl := bytes.IndexByte(h.Buf, '\n')
	if nl < 0 {
		return false, tooLong(b, h, lim, fault.UpstreamHeadTooLarge)
	}
	if nl < 1 || b[nl-1] != '\r' || !parseStatusLine(b[:nl-1], h) {
		return false, fault.UpstreamBadResponse
	}
	h.FieldsAt = uint16(nl + 1)
	var s section
	done, err = parseFields(h, &s, lim.fieldsMax)
	if err != nil {
		return false, fault.UpstreamBadResponse
	}
	if !done {
		return false, tooLong(b, h, lim, fault.UpstreamHeadTooLarge)
	}
	if err := frame(h, &s); err != nil {
		return false, fault.UpstreamBadResponse
	}
	return true, nil
}

// parseStatusLine parses "HTTP/1.x SP 3DIGIT [SP reason]".
func parseStatusLine(line []byte, h *message.Head) bool {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return false
	}
	if line[7] != '0' && line[7] != '1' {
		return false
	}
	h.Minor = line[7] - '0'
	status, ok := digits(line[9:12])
	if !ok || status < 100 || status > 599 {
		return false
	}
	h.Status = int(status)
	h.Reason = message.Span{Start: 12, End: 12}
	if len(line) > 12 {
		if line[12] != ' ' || !validValue(line[13:]) {
			return false
		}
		h.Reason = message.Span{Start: 13, End: uint16(len(line))}
	}
	return true
}

// responseFraming settles how the content of a final response ends (RFC 9112 section
// 6.3): none for HEAD, 204 and 304, by its fields, or by the end of the connection. The
// ContentLength of a response without content is kept where it tells of the
// representation (HEAD, 304).
func responseFraming(h *message.Head, toHead bool) {
	switch {
	case h.Status == 204 || h.Status < 200:
		h.Framing, h.ContentLength = message.NoContent, -1
	case toHead || h.Status == 304:
		h.Framing = message.NoContent
	case h.Framing == message.NoContent:
		h.Framing = message.UntilClose
	}
}
