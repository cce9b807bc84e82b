package diagnose

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// endpoint is what a listener answered.
type endpoint struct {
	listener, url string
	status        int
	err           error
	reasons       []string // of /ready
}

// unverified is for asking our own listeners whether they answer, whatever their certificate.
func unverified() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// place is where a listener is reached from here.
type place struct {
	listener, address string // host:port
	secure            bool
}

// places returns the listeners that answer HTTP to this machine: those that want a PROXY header
// don't.
func (f *facts) places() []place {
	bound := make(map[string][]string)
	for _, l := range f.running.status.Listeners {
		bound[l.Name] = l.Addresses
	}
	var all []place
	for _, l := range f.cfg.Listeners {
		if l.Protocol.V == "tcp" || l.ProxyProtocol != nil {
			continue
		}
		addresses := bound[l.Name.V]
		if addresses == nil {
			for _, a := range l.Addresses {
				addresses = append(addresses, a.V)
			}
		}
		for _, a := range addresses {
			all = append(all, place{l.Name.V, local(a), l.TLS != nil || l.Protocol.V == "https"})
		}
	}
	return all
}

// endpointsMax bounds how many listeners are asked.
const endpointsMax = 8

// askEndpoints asks /health and /ready of the listeners.
func (f *facts) askEndpoints(ctx context.Context) {
	if !f.up() {
		return
	}
	places := f.places()
	if len(places) == 0 {
		f.blind("/health and /ready: no listener answers HTTP to this machine")
		return
	}
	places = places[:min(len(places), endpointsMax)]
	f.health, f.ready = make([]endpoint, len(places)), make([]endpoint, len(places))
	var all sync.WaitGroup
	for i, p := range places {
		base := "http://" + p.address
		if p.secure {
			base = "https://" + p.address
		}
		all.Go(func() { f.health[i] = ask(ctx, p.listener, base+"/health") })
		all.Go(func() { f.ready[i] = ask(ctx, p.listener, base+"/ready") })
	}
	all.Wait()
	for i := range f.health {
		if e := &f.health[i]; e.refusedTLS() {
			f.blind(e.url + ": the listener wants a client certificate or a server name")
			e.err, e.status = nil, http.StatusOK // it is there
		}
	}
}

// refusedTLS reports that the listener answered by an alert of TLS (RFC 8446 section 6): it wants
// something of clients that we don't have.
func (e *endpoint) refusedTLS() bool {
	return e.err != nil && strings.Contains(e.err.Error(), "remote error: tls: ")
}

func ask(ctx context.Context, listener, url string) endpoint {
	e := endpoint{listener: listener, url: url}
	var body string
	body, e.status, e.err = fetch(ctx, url)
	if e.status == http.StatusServiceUnavailable {
		var answer struct{ Reasons []string }
		if json.Unmarshal([]byte(body), &answer) == nil {
			e.reasons = answer.Reasons
		}
	}
	return e
}
