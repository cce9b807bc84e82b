package exchange

import (
	"bytes"
	"time"

	"github.com/cespare/xxhash/v2"

	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/upstream"
)

// splitKey is what the choice among split upstreams is made by.
func (x *exchange) splitKey() uint64 {
	if k := x.affinity(&x.route.Sticky); k != 0 {
		return k
	}
	return x.p.splits.Add(1)
}

// affinity is the hash of the part of the request that keeps it together with others; 0
// where there is none.
func (x *exchange) affinity(a *upstream.Affinity) uint64 {
	switch a.By {
	case upstream.ByNothing:
		return 0
	case upstream.ByClient:
		return xxhash.Sum64(x.clientText)
	case upstream.ByQuery:
		if v, ok := parameter(x.req.Head.Bytes(x.req.Head.Query), a.Name); ok {
			return xxhash.Sum64(v)
		}
		return 0
	}
	v := x.KeyPart(affinityParts[a.By], a.Name)
	if v == nil {
		return 0
	}
	return xxhash.Sum64(v)
}

// affinityParts are the parts of a request that keys of rate limits may be made of, too.
var affinityParts = [...]limit.Part{
	upstream.ByField: limit.PartHeader, upstream.ByCookie: limit.PartCookie,
	upstream.ByPath: limit.PartPath, upstream.ByHost: limit.PartHost,
}

// parameter returns the value of a query parameter as it stands in the query.
func parameter(query []byte, name string) ([]byte, bool) {
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		if k, v, _ := bytes.Cut(pair, []byte("=")); string(k) == name {
			return v, true
		}
	}
	return nil, false
}

// cookie returns the value of a cookie (RFC 6265 section 5.4).
func cookie(h *message.Head, name string) ([]byte, bool) {
	for i := range h.Fields {
		if h.Fields[i].ID != message.FieldCookie {
			continue
		}
		rest := h.FieldValue(i)
		for len(rest) > 0 {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			k, v, ok := bytes.Cut(message.TrimSpace(pair), []byte("="))
			if ok && string(k) == name {
				return v, true
			}
		}
	}
	return nil, false
}

// stickyTarget is the target that the client's cookie names; 0 for none.
func (x *exchange) stickyTarget(u *upstream.Upstream) uint64 {
	s := u.Sticky
	if s == nil {
		return 0
	}
	v, ok := cookie(&x.req.Head, s.Name)
	if !ok {
		return 0
	}
	target, issued, ok := s.Keys.Open(v, u.Name)
	if !ok || s.MaxAge > 0 && x.p.opt.Clock.Time(x.req.Received).Sub(time.Unix(issued, 0)) > s.MaxAge {
		return 0
	}
	return target
}

// addStickyCookie tells the client which target it is kept on, when that is news.
func (x *exchange) addStickyCookie(h *message.Head) {
	s := x.upstream.Sticky
	if s == nil || x.choice.Sticky == x.target.ID {
		return
	}
	h.Extra = append(h.Extra, "Set-Cookie: "...)
	h.Extra = append(append(h.Extra, s.Name...), '=')
	h.Extra = s.Keys.AppendSeal(h.Extra, x.upstream.Name, x.target.ID, x.p.opt.Clock.Time(x.headAt).Unix())
	h.Extra = append(h.Extra, s.Attributes...)
	h.Extra = append(h.Extra, '\r', '\n')
}
