package exchange

import (
	"strconv"
	"strings"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/message"
)

// fail answers a request that can't be served, with its fault's status.
func (x *exchange) fail(k fault.Kind) error {
	x.fault = k
	x.settle(k)
	x.leave()
	row := k.Row()
	status, retryAfter := row.Status, row.RetryAfter
	if k == fault.RouteDisabled {
		status, retryAfter = x.route.Disabled.Status, x.route.Disabled.RetryAfter
	}
	if row.Status == 499 {
		x.status = row.Status
		return k
	}
	if x.grpc {
		return x.failCall(k)
	}
	form := fault.FormText
	if i := x.req.Head.Find(message.FieldAccept); i >= 0 {
		form = fault.FormOf(x.req.Head.FieldValue(i))
	}
	x.buffer.body = fault.AppendBody(x.buffer.body[:0], k, status, string(x.id), form)
	h := x.localHead(status)
	h.Add("Content-Type", []byte(form.ContentType()))
	h.Add("Cache-Control", noStore)
	h.Add(x.s.Identity.RequestIDField, x.id)
	h.Extra = appendLine(h.Extra, "WWW-Authenticate", x.asks)
	if x.refusedBy != nil {
		x.addLimitFields(h)
	} else if retryAfter > 0 {
		h.Extra = append(h.Extra, "Retry-After: "...)
		h.Extra = strconv.AppendInt(h.Extra, int64(retryAfter), 10)
		h.Extra = append(h.Extra, '\r', '\n')
	}
	if row.Closes {
		x.req.LastOnConnection = true
	}
	return x.send(h, x.buffer.body)
}

var noStore = []byte("no-store")

// localHead readies the head of an answer that is made here.
func (x *exchange) localHead(status int) *message.Head {
	h := &x.local
	h.Reset(nil)
	h.Status = status
	return h
}

// send writes an answer that is made here.
func (x *exchange) send(h *message.Head, body []byte) error {
	x.status = h.Status
	x.secureLocal(h)
	x.tellID(h)
	if h.Status != 204 && h.Status != 304 {
		h.Framing, h.ContentLength = message.Length, int64(len(body))
	}
	if err := x.w.Respond(h, body, true); err != nil {
		return x.broke(err)
	}
	if x.req.Head.Method != message.MethodHead {
		x.sent = int64(len(body))
	}
	return nil
}

// answer sends a route's fixed response.
func (x *exchange) answer(a *filter.Answer) error {
	h := x.localHead(a.Status)
	if a.ContentType != "" {
		h.Add("Content-Type", []byte(a.ContentType))
	}
	x.editLocal(h)
	return x.send(h, a.Body)
}

// redirect sends a route's redirect.
func (x *exchange) redirect(r *filter.Redirect) error {
	x.fillVars()
	x.buffer.location = r.AppendLocation(x.buffer.location[:0], &x.vars)
	h := x.localHead(r.Status())
	h.Add("Location", x.buffer.location)
	x.editLocal(h)
	return x.send(h, nil)
}

func (x *exchange) editLocal(h *message.Head) {
	if x.route.ResponseEdits != nil {
		x.fillVars()
		x.route.ResponseEdits.Apply(h, &x.vars)
	}
}

func (x *exchange) answerJSON(status int, body []byte) error {
	h := x.localHead(status)
	h.Add("Content-Type", jsonType)
	h.Add("Cache-Control", noStore)
	return x.send(h, body)
}

var jsonType = []byte("application/json")

// healthBody says that the process serves.
func (x *exchange) healthBody() []byte {
	b := append(x.buffer.body[:0], `{"status":"healthy","uptime_seconds":`...)
	b = strconv.AppendInt(b, int64(x.p.opt.Clock.Now().Seconds()), 10)
	x.buffer.body = append(b, '}', '\n')
	return x.buffer.body
}

// answerReady says whether traffic should come here, and if not, why.
func (x *exchange) answerReady() error {
	reasons := x.p.NotReady()
	if len(reasons) == 0 {
		return x.answerJSON(200, []byte("{\"status\":\"ready\",\"reasons\":[]}\n"))
	}
	var b strings.Builder
	b.WriteString(`{"status":"not ready","reasons":[`)
	for i, r := range reasons {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.QuoteToASCII(r))
	}
	b.WriteString("]}\n")
	return x.answerJSON(503, []byte(b.String()))
}

// NotReady returns why traffic should not come here; nothing means it may.
func (p *Proxy) NotReady() []string {
	var reasons []string
	if p.opt.NotReady != nil {
		reasons = p.opt.NotReady()
	}
	return append(reasons, p.TargetsNotReady()...)
}

// TargetsNotReady returns what of NotReady the upstreams are the reason of.
func (p *Proxy) TargetsNotReady() []string {
	s := p.current.Load()
	if s == nil {
		return []string{"no configuration serves yet"}
	}
	usable := len(s.Upstreams) == 0
	for _, u := range s.Upstreams {
		usable = usable || u.Usable()
	}
	if !usable {
		return []string{"no upstream has a usable target"}
	}
	return nil
}
