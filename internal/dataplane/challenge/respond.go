package challenge

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"
)

// Response is a whole answer of the proxy's own. Its slices lie in the buffer it was appended
// to; a field that is empty isn't sent.
type Response struct {
	Status      int
	RetryAfter  int // seconds
	ContentType string
	Allow       string
	Policy      []byte // Content-Security-Policy
	Location    []byte
	SetCookie   []byte
	Body        []byte
}

// CacheControl is the Cache-Control of every Response: what it says is for one client and now.
const CacheControl = "no-store"

const (
	typeHTML    = "text/html; charset=utf-8"
	typeProblem = "application/problem+json"
)

// Respond appends what to send for a Decision of Page or Refuse at now. The second result is dst
// with what was appended.
func (c *Challenger) Respond(dst []byte, f *Facts, d Decision, now int64) (Response, []byte) {
	if d.Action == Refuse {
		start := len(dst)
		dst = AppendProblem(dst, f.RequestID)
		return Response{Status: 429, RetryAfter: refuseSeconds, ContentType: typeProblem, Body: dst[start:]}, dst
	}
	in := Inputs{
		Nonce: newNonce(), Difficulty: d.Difficulty, Wait: d.Wait,
		Host: hostName(f.Host), Target: f.Target, RequestID: f.RequestID,
	}
	b := c.binding(f)
	c.keys.appendSeal(in.Seed[:0], kindSeed, b, byte(d.Difficulty), now)
	c.keys.appendSeal(in.Ticket[:0], kindTicket, b, byte(d.Wait), now)
	start := len(dst)
	dst = AppendPolicy(dst, in.Nonce)
	body := len(dst)
	dst = AppendPage(dst, &in)
	return Response{
		Status: c.options.Status, RetryAfter: d.Wait, ContentType: typeHTML,
		Policy: dst[start:body:body], Body: dst[body:],
	}, dst
}

func newNonce() (nonce [NonceLen]byte) {
	var raw [16]byte
	rand.Read(raw[:]) // never fails
	base64.RawURLEncoding.Encode(nonce[:], raw[:])
	return nonce
}

// AppendCookie appends a Set-Cookie value (RFC 6265 section 4.1) that hands a token to a client.
// It isn't for scripts, and goes along when another site links here.
func (c *Challenger) AppendCookie(dst, token []byte, f *Facts) []byte {
	dst = append(dst, cookieName(f.Client)...)
	dst = append(dst, '=')
	dst = append(dst, token...)
	dst = append(dst, "; Path=/; Max-Age="...)
	dst = strconv.AppendInt(dst, c.options.TokenLife, 10)
	dst = append(dst, "; HttpOnly; SameSite=Lax"...)
	if f.Secure {
		dst = append(dst, "; Secure"...)
	}
	return dst
}
