package admin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Limits of the API's own server. A reload answers when it is done, so the time to write
// is generous.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 2 * time.Minute
	idleTimeout  = time.Minute
	headBytesMax = 16 << 10
)

// Process is what the API speaks for. Its methods are called from any goroutine.
type Process interface {
	Status() Status
	Config() Config
	// Reload reloads the configuration and returns how that went. by is nil for one who isn't
	// known.
	Reload(ctx context.Context, q ReloadRequest, by *Actor) Outcome
}

// Server serves the API.
type Server struct {
	http      http.Server
	mux       *http.ServeMux
	gate      *Gate
	upstreams Upstreams // nil without
	events    Events    // nil without
	followers atomic.Int64
	closing   context.Context // ends when Close begins
	begin     context.CancelFunc
	done      chan struct{}
}

// NewServer returns a server that answers for p.
func NewServer(p Process, v Version) *Server {
	s := &Server{mux: http.NewServeMux(), gate: NewGate(nil), done: make(chan struct{})}
	s.addProcess(p, v)
	s.addProfiles()
	s.addAudit()
	s.closing, s.begin = context.WithCancel(context.Background())
	s.http = http.Server{
		Handler:           s.guard(s.mux),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headBytesMax,
		ConnContext:       rememberConn,
		ErrorLog:          log.New(io.Discard, "", 0), // strangers' handshakes; what they send isn't for a log
	}
	return s
}

// Serve answers on ln until Close; it closes ln, which removes the socket file. Clients of
// another than a unix socket show certificates (Gate.TLS). Nobody can take all connections.
func (s *Server) Serve(ln net.Listener) {
	defer close(s.done)
	_, local := ln.(*net.UnixListener)
	if ln = newBounded(ln); !local {
		ln = tls.NewListener(ln, s.gate.TLS())
	}
	s.http.Serve(ln) // always returns an error; after Close that is what was asked for
}

// Close ends those who follow events, lets answers in hand finish until ctx ends, and
// waits for Serve to return.
func (s *Server) Close(ctx context.Context) {
	s.begin()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	<-s.done
}

// Handler returns what answers requests in this process, in the name of the Actor of their
// context.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// addProcess lets the API speak for p.
func (s *Server) addProcess(p Process, v Version) {
	s.read("GET /admin/version", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, v) })
	s.read("GET /admin/status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, p.Status()) })
	s.read("GET /admin/routes", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, p.Status().Routes) })
	s.read("GET /admin/config", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, p.Config()) })
	s.addReload(p)
}

// read answers pattern with what changes nothing.
func (s *Server) read(pattern string, h http.HandlerFunc) {
	s.mux.HandleFunc(pattern, s.wants(RoleRead, h))
}

// operate answers pattern with a change that expires or is undone by a command.
func (s *Server) operate(pattern string, h http.HandlerFunc) {
	s.mux.HandleFunc(pattern, s.wants(RoleOperate, h))
}

// administer answers pattern with a change of the configuration or of the process.
func (s *Server) administer(pattern string, h http.HandlerFunc) {
	s.mux.HandleFunc(pattern, s.wants(RoleAdmin, h))
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // an error means that the client has gone
}
