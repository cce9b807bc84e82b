package exchange

import (
	"io"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/grpcweb"
	"sentinel/internal/dataplane/message"
)

// web translates a call of gRPC-Web: it stands between the client and the spine, which sees a
// call of gRPC. It keeps its memory from one exchange to the next.
type web struct {
	form    grpcweb.Type // None: it is no such call
	format  []byte       // such as "+proto"
	content message.Content
	w       message.Responder
	decoder grpcweb.Decoder
	failed  error
	in, out []byte
}

// translate makes a call of gRPC-Web one of gRPC, where the route wants that.
func (x *exchange) translate() {
	if !x.route.GRPCWeb || x.req.Head.Connect {
		return
	}
	h := &x.req.Head
	i := h.Find(message.FieldContentType)
	if i < 0 {
		return
	}
	form, format := grpcweb.Parse(h.FieldValue(i))
	if form == grpcweb.None {
		return
	}
	v := &x.web
	*v = web{form: form, format: append(v.format[:0], format...), content: x.req.Content, w: x.w, in: v.in, out: v.out}
	x.grpc = true
	x.w = (*webResponder)(v)
	if form == grpcweb.Text {
		x.req.Content = (*webContent)(v)
		if h.Framing == message.Length {
			h.Framing, h.ContentLength = message.Chunked, -1
		}
	}
}

// engine returns the responder of the client's engine, behind a translation.
func (x *exchange) engine() message.Responder {
	if x.web.form != grpcweb.None {
		return x.web.w
	}
	return x.w
}

// restore gives the engine its own content back.
func (v *web) restore(r *message.Request) {
	if v.form != grpcweb.None {
		r.Content = v.content
		v.form, v.content, v.w = grpcweb.None, nil, nil
	}
}

// addCallType says to the upstream that the content is that of gRPC.
func (x *exchange) addCallType() {
	if x.web.form == grpcweb.None {
		return
	}
	h := &x.req.Head
	h.Drop(message.FieldContentType)
	h.DropName("x-grpc-web")
	h.Extra = append(append(h.Extra, "Content-Type: application/grpc"...), x.web.format...)
	h.Extra = append(h.Extra, '\r', '\n')
}

// webContent is content in the form of text, decoded as it is read.
type webContent web

// Whole implements message.Content.
func (v *webContent) Whole() ([]byte, bool) {
	text, ok := v.content.Whole()
	if !ok {
		return nil, false
	}
	if v.in, v.failed = v.decoder.Append(v.in[:0], text); v.failed == nil {
		v.failed = v.decoder.End()
	}
	return v.in, v.failed == nil
}

// Read implements message.Content.
func (v *webContent) Read(p []byte) (int, error) {
	for v.failed == nil {
		n, err := v.content.Read(p)
		out, bad := v.decoder.Append(p[:0], p[:n]) // is never longer than what it reads
		if bad == nil && err == io.EOF {
			bad = v.decoder.End()
		}
		if bad != nil {
			v.failed = bad
			break
		}
		if len(out) > 0 || err != nil {
			return len(out), err
		}
	}
	return 0, fault.BadRequest
}

// Started implements message.Content.
func (v *webContent) Started() bool { return v.failed != nil || v.content.Started() }

// AskForContent implements message.Asker.
func (v *webContent) AskForContent() error {
	if a, ok := v.content.(message.Asker); ok {
		return a.AskForContent()
	}
	return nil
}

// Abandon implements message.Abandoner.
func (v *webContent) Abandon() {
	if a, ok := v.content.(message.Abandoner); ok {
		a.Abandon()
	}
}

// Resume implements message.Resumer.
func (v *webContent) Resume() {
	if r, ok := v.content.(message.Resumer); ok {
		r.Resume()
	}
}

// webResponder writes the answer to a call of gRPC-Web.
type webResponder web

// Respond implements message.Responder.
func (v *webResponder) Respond(h *message.Head, content []byte, end bool) error {
	h.Drop(message.FieldContentType)
	h.DropExtra("content-type")
	h.Extra = append(h.Extra, "Content-Type: "...)
	h.Extra = v.form.AppendType(h.Extra, v.format)
	h.Extra = append(h.Extra, '\r', '\n')
	if !end || len(content) > 0 {
		h.Framing, h.ContentLength = message.Chunked, -1
	}
	v.out = v.form.AppendContent(v.out[:0], content)
	return v.w.Respond(h, v.out, end)
}

// Write implements message.Responder.
func (v *webResponder) Write(content []byte, end bool) error {
	v.out = v.form.AppendContent(v.out[:0], content)
	return v.w.Write(v.out, end)
}

// Interim implements message.Responder.
func (v *webResponder) Interim(h *message.Head) error { return v.w.Interim(h) }

// WriteTrailers implements message.TrailerWriter.
func (v *webResponder) WriteTrailers(lines []byte) error {
	v.in = grpcweb.AppendTrailers(v.in[:0], lines)
	return v.Write(v.in, true)
}
