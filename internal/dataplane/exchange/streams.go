package exchange

import (
	"hash/maphash"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/stream"
)

// newStreams returns what serves the listeners whose connections are streams.
func (p *Proxy) newStreams() *stream.Server {
	o := stream.Options{Clock: p.opt.Clock, Current: p.Current, Log: p.opt.Log}
	if t := p.opt.Talkers; t != nil {
		o.Note = t.noteStream
	}
	return stream.NewServer(o)
}

// Tend sees to the streams that are open. It is called about once a second.
func (p *Proxy) Tend() { p.streams.Tend() }

// noteStream counts a stream like a request.
func (t *Talkers) noteStream(cell int, client, route []byte, k fault.Kind) {
	t.Clients.Observe(cell, client, maphash.Bytes(t.seed, client), 1)
	if route != nil {
		t.Routes.Observe(cell, route, maphash.Bytes(t.seed, route), 1)
	}
	if k != fault.None {
		t.Faults.Observe(cell, faultKeys[k], maphash.Bytes(t.seed, faultKeys[k]), 1)
	}
}
