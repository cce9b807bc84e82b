package lifecycle

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/listen"
)

// side is a server beside the traffic, for metrics or the admin API. A reload that moves
// it opens the new place before it closes the old one.
type side struct {
	open  func(place string) (net.Listener, error)
	serve func() sideServer

	place  string // "" while closed
	ln     net.Listener
	server sideServer
}

// sideServer is what answers there; *admin.Server is one.
type sideServer interface {
	Serve(ln net.Listener)
	Close(ctx context.Context)
}

// sideGrace is how long an answer in hand may take when a side moves or ends.
const sideGrace = time.Second

// prepare opens place, unless it is where the side is; "" closes the side. Exactly one of the returned
// functions must be called.
func (s *side) prepare(place string) (commit, abort func(), err error) {
	if place == s.place {
		return func() {}, func() {}, nil
	}
	if place == "" {
		return s.end, func() {}, nil
	}
	ln, err := s.open(place)
	if err != nil {
		return nil, nil, err
	}
	return func() { s.move(place, ln) }, func() { ln.Close() }, nil
}

func (s *side) move(place string, ln net.Listener) {
	old := s.server
	s.place, s.ln, s.server = place, ln, s.serve()
	go s.server.Serve(ln)
	if old != nil {
		go closeSide(old)
	}
}

// end closes the side, which may be opened again.
func (s *side) end() {
	go closeSide(s.server)
	s.place, s.ln, s.server = "", nil, nil
}

func (s *side) close() {
	if s.server != nil {
		closeSide(s.server)
		s.server = nil
	}
}

func closeSide(s sideServer) {
	ctx, cancel := context.WithTimeout(context.Background(), sideGrace)
	defer cancel()
	s.Close(ctx)
}

// address returns where the side is bound; "" while closed.
func (s *side) address() string {
	if s.ln == nil {
		return ""
	}
	return s.ln.Addr().String()
}

// scrape is the server of the metrics. What it answers may change while it runs.
type scrape struct {
	http http.Server
	done chan struct{}
}

func newScrape(answer *atomic.Pointer[http.Handler]) *scrape {
	s := &scrape{done: make(chan struct{})}
	s.http = http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	return s
}

// Serve answers on ln until Close.
func (s *scrape) Serve(ln net.Listener) {
	defer close(s.done)
	s.http.Serve(ln) // always returns an error; after Close that is what was asked for
}

// Close lets scrapes in hand finish until ctx ends.
func (s *scrape) Close(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	<-s.done
}

// listenMetrics binds the address of the metrics; at is its place in the configuration.
func listenMetrics(address, at string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &listen.BindError{Listener: "metrics", At: at, Address: address, Err: err}
	}
	return ln, nil
}
