package admin

import (
	"crypto/x509"
	"net"
	"net/http"
	"strings"
)

// guard answers by next what no browser has sent on behalf of a page from elsewhere, in the
// name of who asks. It holds for every answer, that an address isn't known included.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if _, known := ActorOf(r.Context()); known { // asked by this process, which has looked at the request
			next.ServeHTTP(w, r)
			return
		}
		by, err := s.gate.access.Load().identify(r)
		var p *Problem
		switch {
		case err != nil:
			p = &Problem{Status: http.StatusForbidden, Message: "who asks isn't known: " + err.Error()}
		case !hostFits(r, s.gate.leaf()):
			p = &Problem{Status: http.StatusMisdirectedRequest, Message: "the Host of the request is another server's: at the socket it is one word, such as http://sentinel/, and over TLS a name of the certificate"}
		case fromPage(r):
			p = &Problem{Status: http.StatusForbidden, Message: "requests that a page has a browser send aren't answered here: use the command line, or `sentinel console`"}
		}
		if p != nil {
			refuse(w, p)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithActor(r.Context(), by)))
	})
}

// hostFits reports whether a request is meant for this server. A page whose name was pointed
// at our address asks by its own name.
func hostFits(r *http.Request, leaf *x509.Certificate) bool {
	if r.TLS == nil {
		return r.Host != "" && !strings.ContainsAny(r.Host, ".:")
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return leaf != nil && leaf.VerifyHostname(strings.Trim(host, "[]")) == nil
}

// fromPage reports whether a page has made a browser send a request (W3C Fetch Metadata, RFC
// 6454). Programs send neither field.
func fromPage(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return len(r.Header["Origin"]) > 0 || site != "" && site != "none"
}
