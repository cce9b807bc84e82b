package machine

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// slowOrigin is an origin whose answers to checks can be held back.
type slowOrigin struct {
	http.Server
	checks chan struct{} // one for each check that is held
	mu     sync.Mutex
	gate   chan struct{} // nil: nothing is held
}

func newSlowOrigin(ln net.Listener) *slowOrigin {
	o := &slowOrigin{checks: make(chan struct{}, 16)}
	o.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		gate := o.gate
		o.mu.Unlock()
		if r.URL.Path == "/check" && gate != nil {
			o.checks <- struct{}{}
			<-gate
		}
		io.WriteString(w, "ok")
	})
	go o.Serve(ln)
	return o
}

func (o *slowOrigin) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gate = make(chan struct{})
}

func (o *slowOrigin) awaitCheck() { <-o.checks }

func (o *slowOrigin) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.gate)
	o.gate = nil
}
