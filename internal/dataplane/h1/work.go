package h1

import (
	"sync"

	"sentinel/internal/dataplane/message"
)

// work is what a connection needs while a request is in hand: its buffer, the parsed
// request, the state of its content and of the answer. It is the Content and the
// Responder that the handler sees.
//
// The buffer holds requests as they came:
//
//	0       begin                                end        len(buf)
//	| done  | head in hand | its content | next  |  room    |
type work struct {
	c          *conn
	buf        []byte
	begin, end int
	begun      bool // the first byte of the request in hand has been noted
	skipped    bool // an empty line before it
	settings   *Settings
	limits     limits

	req     message.Request
	content content
	answer
}

var works = sync.Pool{New: func() any { return new(work) }}

func newWork(c *conn) *work {
	w := works.Get().(*work)
	w.c = c
	set := c.srv.Settings(c.client)
	w.buf = newReadBuffer(set.HeadBytesMax)
	w.req.Client = c.client
	w.req.Content = w
	w.apply(set)
	return w
}

// apply takes over the settings in force.
func (w *work) apply(set *Settings) {
	w.settings = set
	w.c.net.SetWritePace(set.WriteTimeout, set.WriteRateMin)
	w.limits = limits{headBytesMax: min(set.HeadBytesMax, len(w.buf)), fieldsMax: set.FieldsMax, targetBytesMax: set.TargetBytesMax}
}

// free gives w and its buffer back.
func (w *work) free() {
	freeReadBuffer(w.buf)
	fields, extra, decoder := w.req.Head.Fields, w.req.Head.Extra, w.content.decoder
	*w = work{}
	w.req.Head.Fields, w.req.Head.Extra = fields[:0], extra[:0]
	w.content.decoder.keep = decoder.keep[:0]
	works.Put(w)
}

// next readies w for the request after the one in hand.
func (w *work) next() {
	w.begin = w.content.at
	if w.begin == w.end {
		w.begin, w.end = 0, 0
	}
	w.begun, w.skipped = false, false
	w.req.ContentBy = 0
	w.answer.reset()
	w.apply(w.c.srv.Settings(w.c.client))
}

// compact moves the head in hand to the front of the buffer, so that the rest has room.
func (w *work) compact() {
	w.end = copy(w.buf, w.buf[w.begin:w.end])
	w.begin = 0
}
