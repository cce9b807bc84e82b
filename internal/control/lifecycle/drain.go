package lifecycle

import (
	"context"
	"time"
)

// forceGrace is how long handlers may take to return once their connections have been
// cut.
const forceGrace = time.Second

// endLimit is what the end takes at most beside the drain.
const endLimit = 5 * time.Second

// drain ends the process in order: readiness fails, nothing new is accepted, requests in
// hand finish or are cut at the end of the shutdown timeout or by a second signal, and
// the files go away. Metrics and the admin API answer until the traffic has ended, unless
// another process has taken them over.
func (p *Process) drain() {
	p.state.set(draining)
	p.mu.Lock()
	timeout := p.mu.current.Settings.ShutdownTimeout
	p.mu.Unlock()
	if p.replaced {
		p.keepAdminFile(true)
		p.stopSides() // the new process answers
	} else {
		p.notify.stopping("draining", timeout+endLimit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	stop := p.forceOnSignal(cancel)
	left := p.registry.Drain(ctx)
	stop()
	cancel()
	if left > 0 {
		p.log.Warn("connections cut", "connections", left, "timeout_seconds", timeout.Seconds())
	}
	ctx, cancel = context.WithTimeout(context.Background(), forceGrace)
	defer cancel()
	p.registry.Close(ctx)
	p.stopSides()
	p.pid.remove()
	p.mark.End()
	p.log.Info("stopped", "uptime_seconds", int64(time.Since(p.started).Seconds()))
}

// forceOnSignal calls force at the next signal to stop, until the returned function is
// called.
func (p *Process) forceOnSignal(force func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-p.signals.stop:
			p.log.Warn("second signal: not waiting for requests in hand", "cause", s.String())
			force()
		case <-quit:
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
