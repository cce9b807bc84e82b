package exchange

import (
	"bytes"

	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
)

// match canonicalises the path once and finds the route; the reserved path has none. The
// same bytes are matched, rewritten and sent.
func (x *exchange) match() fault.Kind {
	if x.req.Client.HealthOnly {
		return fault.ConnectionLimit
	}
	if k := x.canonicalise(); k != fault.None {
		return k
	}
	if x.s.Challenger != nil && string(x.path) == challenge.ReservedPath {
		if x.req.Head.Connect {
			return fault.UpgradeRefused
		}
		x.reserved = true
		return fault.None
	}
	r, ok := x.lookUp()
	if !ok {
		return fault.NoRoute
	}
	x.route = r
	return fault.None
}

func (x *exchange) canonicalise() fault.Kind {
	h := &x.req.Head
	x.path = h.Bytes(h.Path)
	if len(x.path) == 0 {
		x.path = rootPath
	}
	if x.path[0] == '/' {
		out, err := route.Canonicalise(x.buffer.path, x.path, &x.ln.Paths)
		if err != nil {
			return fault.PathRefused
		}
		if len(out) > 0 && (len(x.path) == 0 || &out[0] != &x.path[0]) {
			x.buffer.path = out
		}
		x.path = out
	}
	x.matched = x.path
	return fault.None
}

var rootPath = []byte("/")

// input is what the table is asked.
func (x *exchange) input() route.Input {
	h := &x.req.Head
	return route.Input{Host: h.Bytes(h.Authority), Path: x.path, Method: h.Bytes(h.MethodAt), Query: h.Bytes(h.Query), Head: h}
}

func (x *exchange) lookUp() (*snapshot.Route, bool) {
	in := x.input()
	if r, ok := x.preflightRoute(in); ok {
		return r, true
	}
	return x.s.Table.Match(&in)
}

var (
	healthPath = []byte("/health")
	readyPath  = []byte("/ready")
)

// answerProbe answers /health and /ready unless a route matches exactly that path.
func (x *exchange) answerProbe() (answered bool, err error) {
	asked, health := x.probes()
	switch {
	case !asked:
		return false, nil
	case health:
		return true, x.answerJSON(200, x.healthBody())
	}
	return true, x.answerReady()
}

// probes reports whether the request asks for /health or /ready, which are no route's, and
// whether for /health.
func (x *exchange) probes() (asked, health bool) {
	h := &x.req.Head
	path := h.Bytes(h.Path)
	if h.Connect || len(path) < len(readyPath) || len(path) > len(healthPath) || path[1] != 'h' && path[1] != 'r' {
		return false, false
	}
	health = bytes.Equal(path, healthPath)
	if !health && !bytes.Equal(path, readyPath) || h.Method != message.MethodGet && h.Method != message.MethodHead {
		return false, false
	}
	x.path, x.matched = path, path
	if r, ok := x.lookUp(); ok && !x.req.Client.HealthOnly && (health && r.OwnsHealth || !health && r.OwnsReady) {
		return false, false
	}
	return true, health
}
