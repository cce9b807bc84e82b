package message

import "slices"

// Outgoing is a request as it goes to an upstream, whatever the protocol there. It points
// into what its exchange owns and is valid as long as that is.
type Outgoing struct {
	Head    *Head // the method, and the fields that are kept, with Extra
	Path    []byte
	Query   []byte // where Head.HasQuery
	Upgrade string // the protocol that it asks to upgrade to; empty for none
	// WantsTrailers says that trailer fields are welcome, where the protocol can say it end to
	// end (RFC 9110 section 10.1.4).
	WantsTrailers bool

	// Framing and Length say how much content follows: for a whole request, Content, else
	// what the sender sends piece by piece.
	Framing  Framing
	Length   int64
	Content  []byte
	Trailers []byte // complete field lines behind Content; only where Framing is Chunked

	// Scratch is memory that an engine may put the message together in.
	Scratch []byte
}

// Clone returns a copy that outlives the exchange.
func (o *Outgoing) Clone() *Outgoing {
	h := *o.Head
	h.Buf = slices.Clone(h.Buf[:h.End])
	h.Fields, h.Extra = slices.Clone(h.Fields), slices.Clone(h.Extra)
	c := *o
	c.Head, c.Scratch = &h, nil
	c.Path, c.Query = slices.Clone(o.Path), slices.Clone(o.Query)
	c.Content, c.Trailers = slices.Clone(o.Content), slices.Clone(o.Trailers)
	return &c
}
