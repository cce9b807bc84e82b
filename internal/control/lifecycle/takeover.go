package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// takeOver makes next serve in place of the predecessor. Up to Open nothing is felt by
// clients: an error leaves the predecessor as it was.
func (p *Process) takeOver(ctx context.Context, next *generation) error {
	next.commit() // the registry holds its sockets
	p.state.set(serving)
	if err := p.warm(ctx); err != nil {
		return err
	}
	p.before.say("ready " + p.opt.Version.Version)
	answer, err := p.before.hear(stepLimit)
	if alone := errors.Is(err, io.EOF); !alone && (err != nil || answer != "serve") {
		return fmt.Errorf("process %d doesn't hand over: it said %q, %v", p.before.pid, answer, err)
	}
	if p.pid, err = claimPID(next.loaded.Settings.PIDFile, p.before.pid); err != nil {
		return err
	}
	p.registry.Open()
	next.serveSides()
	p.before.say("serving")
	p.before.hear(stepLimit) // "main", or the end: either way this process is it now
	p.before.close()
	return nil
}

// warmEvery is how often a new process looks whether it is ready.
const warmEvery = 20 * time.Millisecond

// warm waits until this process is ready to take requests, if the predecessor was.
func (p *Process) warm(ctx context.Context) error {
	tick := time.NewTicker(warmEvery)
	defer tick.Stop()
	for deadline := time.Now().Add(warmLimit); p.before.ready; {
		reasons := p.opt.NotReady()
		if len(reasons) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready within %v: %s", warmLimit, strings.Join(reasons, "; "))
		}
		select {
		case <-tick.C:
		case s := <-p.signals.stop:
			return fmt.Errorf("stopped by %v", s)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// openMetrics binds the address of the metrics, or goes on with the socket that was passed.
func (p *Process) openMetrics(address string) (net.Listener, error) {
	if ln := p.opt.Inherited.Take(metricsSocket, address); ln != nil {
		return ln, nil
	}
	return listenMetrics(address, p.metricsAt)
}

// openAdmin opens the admin socket, or goes on with the one that was passed.
func (p *Process) openAdmin(open func(string) (net.Listener, error)) func(path string) (net.Listener, error) {
	return func(path string) (net.Listener, error) {
		if ln := p.opt.Inherited.Take(adminSocket, path); ln != nil {
			return ln, nil
		}
		return open(path)
	}
}

// keepAdminFile says whether the file of the admin socket outlives the end of this process,
// since another one serves it.
func (p *Process) keepAdminFile(keep bool) {
	if ln, ok := p.admin.ln.(*net.UnixListener); ok {
		ln.SetUnlinkOnClose(!keep)
	}
}
