package exchange

import (
	"io"
	"strconv"
	"time"

	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
)

// overPatience is for how long at most a client stays over its threshold once it is quiet: as
// long as a refusal tells it to wait.
const overPatience = time.Minute

// challenge asks whether the client has to prove first that it is worth an answer, and
// remembers what to answer where it has to.
func (x *exchange) challenge() fault.Kind {
	s := x.security()
	if s == nil {
		return fault.None
	}
	rate := x.rate(s)
	if s.Policy.Mode == challenge.Enabled && rate <= s.Policy.Threshold {
		return fault.None
	}
	x.verdict = x.s.Challenger.Decide(&s.Policy, x.factsFor(s, rate), x.unixSeconds())
	if x.verdict.Action == challenge.Page || x.verdict.Action == challenge.Refuse {
		return fault.ChallengeFailed
	}
	return fault.None
}

// factsFor gathers what a decision is made by.
func (x *exchange) factsFor(s *snapshot.Security, rate int) *challenge.Facts {
	x.gatherFacts()
	f := &x.facts
	f.Rate = rate
	f.Allowed = s.Allowed != nil && s.Allowed.Allows(x.client)
	f.Upgrade = x.upgradeToken() != ""
	return f
}

// security returns who is challenged; nil for nobody.
func (x *exchange) security() *snapshot.Security {
	if x.route.Security != nil {
		return x.route.Security[x.ln.Slot]
	}
	return x.ln.Security
}

// rate counts the request and returns how many its client sent in about the last minute: a
// number up to the threshold, or the threshold and what went beyond it since it was crossed.
func (x *exchange) rate(s *snapshot.Security) int {
	key, _ := s.Key.Sum(x.s.LimitSeed, x)
	if d := s.Clients.Reserve(key, x.at, 1, overPatience); d.Allowed && d.RetryAfter == 0 {
		return int(d.Limit - d.Remaining)
	}
	d := s.Floods.Take(key, x.at, 1)
	return s.Policy.Threshold + int(d.Limit-d.Remaining)
}

func (x *exchange) unixSeconds() int64 { return x.p.opt.Clock.Time(x.at).Unix() }

// gatherFacts fills in what a request says of itself.
func (x *exchange) gatherFacts() {
	h := &x.req.Head
	x.buffer.host = route.AppendHost(x.buffer.host[:0], h.Bytes(h.Authority))
	f := &x.facts
	*f = challenge.Facts{
		Method: h.Bytes(h.MethodAt), Host: x.buffer.host, Path: x.matched, Target: h.Bytes(h.Path),
		RequestID: x.id, Client: x.client, Secure: x.req.Client.Secure, Cookies: f.Cookies[:0],
	}
	if h.HasQuery {
		f.Target = h.Buf[h.Path.Start:h.Query.End]
	}
	for i := range h.Fields {
		switch h.Fields[i].ID {
		case message.FieldAccept:
			f.Accept = h.FieldValue(i)
		case message.FieldContentType:
			f.ContentType = h.FieldValue(i)
		case message.FieldAuthorization:
			f.Credentials = true
		case message.FieldCookie:
			f.Cookies = append(f.Cookies, h.FieldValue(i))
		}
	}
	if i := h.FindName("sec-fetch-mode"); i >= 0 {
		f.FetchMode = h.FieldValue(i)
	}
}

// sendChallenge answers a request that doesn't go on: the page to a browser, a refusal to
// others.
func (x *exchange) sendChallenge() error {
	var r challenge.Response
	r, x.buffer.body = x.s.Challenger.Respond(x.buffer.body[:0], &x.facts, x.verdict, x.unixSeconds())
	x.fault = fault.ChallengeFailed
	return x.sendResponse(&r)
}

// answerReserved takes what a client brings to the reserved path, which is no route's. Bans
// hold there and the bounds of requests in progress; rate limits don't: the work is a hash.
func (x *exchange) answerReserved() error {
	if e := x.p.opt.Bans.Find(x.client); e != nil {
		e.Hit()
		return x.fail(fault.ClientBanned)
	}
	if !x.count() {
		return x.fail(fault.RequestLimit)
	}
	h := &x.req.Head
	content := h.Bytes(h.Query)
	if h.Method == message.MethodPost {
		var k fault.Kind
		if content, k = x.readForm(); k != fault.None {
			return x.fail(k)
		}
		x.received = int64(len(content))
		x.look()
	}
	x.gatherFacts()
	var r challenge.Response
	r, x.buffer.body = x.s.Challenger.Answer(x.buffer.body[:0], &x.facts, content, x.unixSeconds())
	if r.Status == 403 {
		x.fault = fault.ChallengeFailed
	}
	return x.sendResponse(&r)
}

// readForm returns the content of a request to the reserved path.
func (x *exchange) readForm() ([]byte, fault.Kind) {
	if x.req.Head.ContentLength > challenge.FormMax {
		return nil, fault.ContentTooLarge
	}
	if content, whole := x.req.Content.Whole(); whole {
		if len(content) > challenge.FormMax {
			return nil, fault.ContentTooLarge
		}
		return content, fault.None
	}
	if cap(x.buffer.content) <= challenge.FormMax {
		x.buffer.content = make([]byte, challenge.FormMax+1)
	}
	b, n := x.buffer.content[:challenge.FormMax+1], 0
	for n < len(b) {
		k, err := x.req.Content.Read(b[n:])
		n += k
		if err == io.EOF {
			return b[:n], fault.None
		}
		if err != nil {
			return nil, kindOf(err, fault.ContentTruncated)
		}
	}
	return nil, fault.ContentTooLarge
}

// sendResponse writes an answer that package challenge made.
func (x *exchange) sendResponse(r *challenge.Response) error {
	h := x.localHead(r.Status)
	h.Extra = appendLine(h.Extra, "Cache-Control", challenge.CacheControl)
	h.Extra = appendLine(h.Extra, "Content-Type", r.ContentType)
	h.Extra = appendLine(h.Extra, "Content-Security-Policy", r.Policy)
	h.Extra = appendLine(h.Extra, "Location", r.Location)
	h.Extra = appendLine(h.Extra, "Set-Cookie", r.SetCookie)
	h.Extra = appendLine(h.Extra, "Allow", r.Allow)
	h.Extra = appendLine(h.Extra, x.s.Identity.RequestIDField, x.id)
	if r.RetryAfter > 0 {
		h.Extra = append(h.Extra, "Retry-After: "...)
		h.Extra = strconv.AppendInt(h.Extra, int64(r.RetryAfter), 10)
		h.Extra = append(h.Extra, '\r', '\n')
	}
	return x.send(h, r.Body)
}

// appendLine appends a field line unless its value is empty.
func appendLine[T string | []byte](dst []byte, name string, value T) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}
