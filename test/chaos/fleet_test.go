package chaos

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/testkit/program"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// originProcess is one origin as the test holds it.
type originProcess struct {
	t       *testing.T
	name    string
	address string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     chan string // lines
	up      bool
}

func newOrigin(t *testing.T, i int) *originProcess {
	o := &originProcess{t: t, name: strconv.Itoa(i), address: program.FreeAddress(t)}
	t.Cleanup(o.kill)
	return o
}

// start starts the process and returns when it listens.
func (o *originProcess) start() {
	o.t.Helper()
	o.cmd = exec.Command(os.Args[0])
	o.cmd.Env = append(os.Environ(), originVariable+"="+o.address+" "+o.name)
	o.cmd.Stderr = os.Stderr
	in, err := o.cmd.StdinPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.in, o.up, o.out = in, true, make(chan string, 16)
	go func(lines chan<- string) {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}(o.out)
	o.hear("listening")
}

func (o *originProcess) hear(want string) {
	o.t.Helper()
	select {
	case line := <-o.out:
		if line != want {
			o.t.Fatalf("origin %s says %q, want %q", o.name, line, want)
		}
	case <-time.After(patience):
		o.t.Fatalf("origin %s doesn't say %q", o.name, want)
	}
}

func (o *originProcess) set(m mode) {
	o.t.Helper()
	if _, err := io.WriteString(o.in, m.String()); err != nil {
		o.t.Fatal(err)
	}
	o.hear(strings.TrimSpace(m.String()))
}

func (o *originProcess) signal(s syscall.Signal) {
	if o.up {
		o.cmd.Process.Signal(s)
	}
}

// kill ends the process as a crash does; a frozen one too.
func (o *originProcess) kill() {
	o.signal(syscall.SIGKILL)
	o.reap()
}

// stop ends the process as an operator does.
func (o *originProcess) stop() {
	o.signal(syscall.SIGTERM)
	o.reap()
}

func (o *originProcess) reap() {
	if !o.up {
		return
	}
	o.up = false
	for range o.out { // all is read before Wait closes the pipe
	}
	o.cmd.Wait()
	o.in.Close()
}
