package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/observe/event"
)

// The names under which the sockets beside the traffic are passed on.
const (
	metricsSocket = "metrics"
	adminSocket   = "admin"
	// adminTCPSocket is that of the admin API for other machines.
	adminTCPSocket = "admin-tcp"
)

// The steps at which an upgrade fails, to group by.
const (
	stepRefused    = "new binary refuses the configuration"
	stepNotStarted = "new process not started"
	stepNotReady   = "new process not ready"
	stepNotTaken   = "new process did not take over"
)

// successor is a process that was started to replace this one.
type successor struct {
	*talk
	process *os.Process
}

// upgrade replaces this process by a new one from the binary as it is now. When that serves
// this one has only to drain; else it goes on.
func (p *Process) upgrade(ctx context.Context, cause string) admin.Upgrade {
	began := time.Now()
	p.notify.reloading()
	p.gate.Hold(true)
	next, version, err := p.prepareSuccessor(ctx)
	if err == nil {
		err = p.handOver(next)
	}
	if err != nil {
		p.gate.Hold(false)
		o := p.upgradeFailed(cause, err)
		p.notify.ready("serving, the upgrade failed")
		return o
	}
	pid := next.process.Pid
	p.notify.send("MAINPID="+strconv.Itoa(pid), "READY=1", fmt.Sprintf("STATUS=serving, replaced process %d", os.Getpid()))
	next.say("main")
	next.close()
	next.process.Release()
	p.replaced = true
	o := admin.Upgrade{At: time.Now(), OK: true, Cause: cause, Former: os.Getpid(), PID: pid, FormerVersion: p.opt.Version.Version, Version: version}
	p.record(event.Event{Kind: event.KindUpgrade, To: version, From: o.FormerVersion, Cause: cause, Detail: fmt.Sprintf("process %d serves instead of %d", pid, o.Former)})
	p.log.Info("Upgrade succeeded", "cause", cause, "pid", pid, "version", version, "former_pid", o.Former, "former_version", o.FormerVersion,
		"took", time.Since(began).Round(time.Microsecond).String())
	return o
}

func (p *Process) upgradeFailed(cause string, err error) admin.Upgrade {
	d := describe(err)
	o := admin.Upgrade{At: time.Now(), Cause: cause, Former: os.Getpid(), FormerVersion: p.opt.Version.Version, Error: d.kind, Details: d.lines}
	p.record(event.Event{Kind: event.KindUpgrade, Worse: true, To: "failed", Cause: d.kind, Detail: strings.Join(d.lines, "; ")})
	d.log(p.log, "Upgrade failed", "cause", cause, "pid", o.Former, "version", o.FormerVersion)
	return o
}

// prepareSuccessor starts a new process and waits until it is ready to take over. It returns
// the version of that.
func (p *Process) prepareSuccessor(ctx context.Context) (*successor, string, error) {
	if os.Getpid() == 1 {
		return nil, "", &stepError{stepNotStarted, errors.New("process 1 of a container can't be replaced: start a new container")}
	}
	if err := p.checkBinary(ctx); err != nil {
		return nil, "", &stepError{stepRefused, err}
	}
	next, err := p.startSuccessor()
	if err != nil {
		return nil, "", &stepError{stepNotStarted, err}
	}
	answer, err := p.awaitAnswer(ctx, next)
	version, ready := strings.CutPrefix(answer, "ready ")
	if err == nil && !ready {
		err = errors.New(strings.TrimPrefix(answer, "failed "))
	}
	if err != nil {
		next.end()
		return nil, "", &stepError{stepNotReady, err}
	}
	return next, version, nil
}

// checkBinary has the binary as it is now check the configuration.
func (p *Process) checkBinary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	check := exec.CommandContext(ctx, p.opt.Binary, "--validate", "--config", p.opt.ConfigFile)
	check.WaitDelay = time.Second
	out, err := check.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s --validate --config %s: %w: %s", p.opt.Binary, p.opt.ConfigFile, err, strings.TrimSpace(string(out[:min(len(out), lineMax)])))
	}
	return nil
}

// startSuccessor starts the binary as it is now with the arguments of this process, and all
// listening sockets.
func (p *Process) startSuccessor() (*successor, error) {
	files, names, err := p.passables()
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := talkPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	all := append([]*os.File{os.Stdin, os.Stdout, os.Stderr}, files...)
	env := append(p.environment(),
		"LISTEN_PID="+strconv.Itoa(os.Getpid()), "LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"),
		predecessorVariable+"="+strconv.Itoa(len(all)))
	process, err := os.StartProcess(p.opt.Binary, os.Args, &os.ProcAttr{
		Env: env, Files: append(all, theirs),
		// The new process is a child of our parent: a service manager sees its end.
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_PARENT},
	})
	if err != nil {
		ours.close()
		return nil, err
	}
	if len(p.opt.NotReady()) == 0 {
		ours.say("ready")
	} else {
		ours.say("not ready")
	}
	return &successor{ours, process}, nil
}

// passables returns a descriptor of each listening socket with its name.
func (p *Process) passables() (files []*os.File, names []string, err error) {
	for _, s := range p.listening(true) {
		f, err := s.File()
		if err != nil {
			return files, nil, err
		}
		files, names = append(files, f), append(names, s.Name)
	}
	return files, names, nil
}

// listening returns the listening sockets; that of the admin API, which has a file, is wanted
// or not.
func (p *Process) listening(withAdmin bool) []listen.Passable {
	all := p.registry.Passables()
	if c, ok := p.metrics.ln.(syscall.Conn); ok {
		all = append(all, listen.Passable{Name: metricsSocket, Conn: c})
	}
	if c, ok := p.adminTCP.ln.(syscall.Conn); ok {
		all = append(all, listen.Passable{Name: adminTCPSocket, Conn: c})
	}
	if c, ok := p.admin.ln.(syscall.Conn); ok && withAdmin {
		all = append(all, listen.Passable{Name: adminSocket, Conn: c})
	}
	return all
}

// environment returns the environment of this process as it was at the start, but for what
// was addressed to this process alone.
func (p *Process) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "WATCHDOG_PID=") })
	if p.notify.socket != "" {
		env = append(env, "NOTIFY_SOCKET="+p.notify.socket)
	}
	return env
}

// awaitAnswer waits for the first line of a new process. A signal to stop ends the wait and is
// kept for those who stop.
func (p *Process) awaitAnswer(ctx context.Context, next *successor) (string, error) {
	type answer struct {
		line string
		err  error
	}
	heard := make(chan answer, 1)
	go func() {
		line, err := next.hear(readyLimit)
		if errors.Is(err, io.EOF) {
			err = errors.New("the new process ended before it was ready; its own lines in the log say why")
		}
		heard <- answer{line, err}
	}()
	select {
	case a := <-heard:
		return a.line, a.err
	case s := <-p.signals.stop:
		select {
		case p.signals.stop <- s:
		default: // another has come
		}
		return "", fmt.Errorf("%v came meanwhile", s)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// handOver lets a process serve that is ready. When it fails this one goes on: it has not
// ceased to accept.
func (p *Process) handOver(next *successor) error {
	next.say("serve")
	answer, err := next.hear(stepLimit)
	if err == nil && answer == "serving" {
		return nil
	}
	next.end()
	if pid, pidErr := claimPID(p.pid.path, next.process.Pid); pidErr == nil {
		p.pid = pid
	}
	return &stepError{stepNotTaken, fmt.Errorf("the new process said %q, %v, and was ended", answer, err)}
}

// end ends a process that won't replace this one.
func (s *successor) end() {
	s.process.Kill()
	s.close()
	s.process.Release()
}

// Upgrade asks for an upgrade and waits for its outcome. It is called by the admin API.
func (p *Process) Upgrade(ctx context.Context) admin.Upgrade {
	reply := make(chan admin.Upgrade, 1)
	select {
	case p.requests <- func() { reply <- p.upgrade(context.WithoutCancel(ctx), "admin") }:
		return <-reply
	case <-p.ended:
	case <-ctx.Done():
	}
	return admin.Upgrade{At: time.Now(), Former: os.Getpid(), Error: "not upgraded", Details: []string{"the process is stopping"}}
}
