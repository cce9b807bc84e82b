package exchange

import (
	"bytes"

	"sentinel/internal/dataplane/auth"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/snapshot"
)

// checkToken asks for a token.
func (x *exchange) checkToken(j *snapshot.JWTAuth) fault.Kind {
	text, ok := x.findToken(j)
	if !ok {
		x.askFor(j.Shadow, j.Missing)
		return fault.Unauthorized
	}
	token, result := j.Check(text, x.at)
	x.look()
	switch result {
	case auth.NoKeys:
		return fault.TokenKeysMissing
	case auth.Wrong:
		x.askFor(j.Shadow, j.Invalid)
		return fault.Unauthorized
	case auth.Lacking:
		x.askFor(j.Shadow, j.Lacking)
		return fault.ClaimsRefused
	}
	x.token = token
	if token.User != nil {
		x.user = token.User
	}
	if j.Shadow {
		return fault.None
	}
	x.buffer.identity = append(x.buffer.identity, token.Fields...)
	if !j.KeepCredentials {
		x.hideToken(j)
	}
	return fault.None
}

// findToken returns the token of the request; ok is false where there is none, or several: of
// two, an upstream could read the one that wasn't checked.
func (x *exchange) findToken(j *snapshot.JWTAuth) (text []byte, ok bool) {
	h := &x.req.Head
	if j.Cookie != "" {
		return onlyCookie(h, j.Cookie)
	}
	for i := range h.Fields {
		if h.Fields[i].Dropped || !filter.Alike(h.FieldName(i), j.Field) {
			continue
		}
		if ok {
			return nil, false
		}
		text, ok = h.FieldValue(i), true
	}
	const scheme = "bearer "
	if len(text) > len(scheme) && message.EqualFold(text[:len(scheme)], scheme) {
		return message.TrimSpace(text[len(scheme):]), true
	}
	return text, ok && j.Field != "authorization" && len(text) > 0
}

// onlyCookie returns the value of a cookie that stands once.
func onlyCookie(h *message.Head, name string) (value []byte, ok bool) {
	for i := range h.Fields {
		if h.Fields[i].ID != message.FieldCookie || h.Fields[i].Dropped {
			continue
		}
		for rest := h.FieldValue(i); len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			k, v, _ := bytes.Cut(message.TrimSpace(pair), []byte("="))
			if string(message.TrimSpace(k)) != name {
				continue
			}
			if ok {
				return nil, false
			}
			value, ok = v, true
		}
	}
	return value, ok && len(value) > 0
}

// hideToken keeps the token from the upstream.
func (x *exchange) hideToken(j *snapshot.JWTAuth) {
	switch h := &x.req.Head; {
	case j.Field == "authorization":
		x.hide = true
	case j.Field != "":
		for i := range h.Fields {
			h.Fields[i].Dropped = h.Fields[i].Dropped || filter.Alike(h.FieldName(i), j.Field)
		}
	default:
		x.hiddenCookie = j.Cookie
	}
}

// hideCookie writes the cookies of the request anew, without those of a name.
func (x *exchange) hideCookie(name string) {
	h := &x.req.Head
	begun := false
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID != message.FieldCookie || f.Dropped {
			continue
		}
		f.Dropped = true
		for rest := h.FieldValue(i); len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			pair = message.TrimSpace(pair)
			if k, _, _ := bytes.Cut(pair, []byte("=")); string(message.TrimSpace(k)) == name || len(pair) == 0 {
				continue
			}
			lead := "; "
			if !begun {
				lead, begun = "Cookie: ", true
			}
			x.buffer.identity = append(append(x.buffer.identity, lead...), pair...)
		}
	}
	if begun {
		x.buffer.identity = append(x.buffer.identity, "\r\n"...)
	}
}
