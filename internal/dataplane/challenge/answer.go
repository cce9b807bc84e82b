package challenge

// Answer appends what to send for a request to ReservedPath at now. content is the form of a
// POST, at most FormMax bytes, or the query of a GET without its question mark. The second
// result is dst with what was appended.
func (c *Challenger) Answer(dst []byte, f *Facts, content []byte, now int64) (Response, []byte) {
	post := string(f.Method) == "POST"
	if !post && string(f.Method) != "GET" {
		return c.notice(dst, noticeMethod(), &shown{requestID: f.RequestID})
	}
	var in form
	if post {
		in, dst = parseForm(dst, content)
	} else {
		in = parseQuery(content)
	}
	count := &c.state.Counters
	switch {
	case post && in.seed != nil:
		if c.solve(f, &in, now) {
			count.Solved.Add(1)
			return c.handOut(dst, f, in.to, now)
		}
	case in.ticket != nil:
		left, ok := c.redeem(f, in.ticket, now)
		switch {
		case ok && left > 0:
			count.Early.Add(1)
			return c.notice(dst, noticeEarly(), &shown{in.to, f.RequestID, in.ticket, left})
		case ok:
			count.Waited.Add(1)
			return c.handOut(dst, f, in.to, now)
		}
	case in.check != nil:
		if !c.Passed(f, now) && c.fresh(f, in.check, now) {
			count.Looped.Add(1)
			return c.notice(dst, noticeCookies(), &shown{to: in.to, requestID: f.RequestID})
		}
	default:
		return c.notice(dst, noticeEmpty(), &shown{to: in.to, requestID: f.RequestID})
	}
	// Whoever has a token goes on, whatever became of this answer: another tab was first.
	if c.Passed(f, now) {
		return redirect(dst, in.to)
	}
	count.Failed.Add(1)
	return c.notice(dst, noticeFailed(), &shown{to: in.to, requestID: f.RequestID})
}

// solve reports whether a form answers a seed that may still be answered.
func (c *Challenger) solve(f *Facts, in *form, now int64) bool {
	n, ok := number(in.answer)
	if !ok {
		return false
	}
	v, ok := c.keys.openSolved(in.seed, n, c.binding(f))
	if !ok || now < v.time-SkewMax || now > v.time+seedLife+SkewMax {
		return false
	}
	return c.use(v.tag, now, seedLife+2*SkewMax)
}

// redeem returns how many seconds a ticket has still to wait. ok is false when it is none, or
// not for this client, or past.
func (c *Challenger) redeem(f *Facts, ticket []byte, now int64) (left int, ok bool) {
	v, ok := c.keys.open(ticket, kindTicket, c.binding(f))
	ready := v.time + int64(v.detail)
	switch {
	case !ok, now < v.time-SkewMax, now > ready+seedLife+SkewMax:
		return 0, false
	case now < ready:
		return int(min(ready-now, WaitMax)), true
	}
	return 0, c.use(v.tag, now, WaitMax+seedLife+2*SkewMax)
}

func (c *Challenger) use(tag uint64, now, keep int64) bool {
	if c.state.Spent.use(tag, now, keep) {
		return true
	}
	c.state.Counters.Replayed.Add(1)
	return false
}

// fresh reports whether a check shows that a token was handed to this client just now.
func (c *Challenger) fresh(f *Facts, check []byte, now int64) bool {
	v, ok := c.keys.open(check, kindCheck, c.binding(f))
	return ok && now >= v.time-SkewMax && now <= v.time+seedLife+SkewMax
}

// handOut gives the client a token and has it show that it kept it, before it goes on: a
// client without cookies would else be challenged again and again.
func (c *Challenger) handOut(dst []byte, f *Facts, to []byte, now int64) (Response, []byte) {
	b := c.binding(f)
	var text [TextLen]byte
	c.keys.appendSeal(text[:0], kindToken, b, 0, now+c.options.TokenLife)
	start := len(dst)
	dst = c.AppendCookie(dst, text[:], f)
	location := len(dst)
	dst = append(dst, ReservedPath+"?check="...)
	dst = c.keys.appendSeal(dst, kindCheck, b, 0, now)
	dst = append(dst, toParam...)
	dst = appendPath(dst, to)
	return Response{Status: 303, SetCookie: dst[start:location:location], Location: dst[location:]}, dst
}

// redirect leads on to the page asked for.
func redirect(dst, to []byte) (Response, []byte) {
	start := len(dst)
	dst = appendPath(dst, to)
	return Response{Status: 303, Location: dst[start:]}, dst
}

// notice appends a page that tells people something.
func (c *Challenger) notice(dst []byte, n *notice, in *shown) (Response, []byte) {
	nonce := newNonce()
	start := len(dst)
	dst = AppendPolicy(dst, nonce)
	body := len(dst)
	dst = appendNotice(dst, n, nonce, in)
	r := Response{
		Status: n.status, RetryAfter: in.wait, ContentType: typeHTML,
		Policy: dst[start:body:body], Body: dst[body:],
	}
	if n.status == 405 {
		r.Allow = "GET, POST"
	}
	return r, dst
}
