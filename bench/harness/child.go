package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is a process the harness started and will end. It leads a process
// group, so that its own children end with it.
type child struct {
	name   string
	cmd    *exec.Cmd
	output string        // file with what it printed
	ended  chan struct{} // closed when it has exited
}

// stopTime is how long a child may take after SIGTERM before it is killed.
const stopTime = 3 * time.Second

// startChild runs argv on one core with env added to the environment.
func startChild(name, dir string, core int, env []string, argv ...string) (*child, error) {
	output := filepath.Join(dir, name+".out")
	f, err := os.Create(output)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(core)}, argv...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, cmd: cmd, output: output, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		// The child stays unreaped until stop, so that neither its number nor
		// that of its group can belong to anyone else by then.
		for unix.Waitid(unix.P_PID, c.pid(), nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop ends the child and its group and waits for it. It is called once.
func (c *child) stop() {
	syscall.Kill(c.pid(), syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(stopTime):
	}
	syscall.Kill(-c.pid(), syscall.SIGKILL)
	c.cmd.Wait()
}

// awaitOK returns once url answers 200. It fails when the child ends first or
// ten seconds pass.
func (c *child) awaitOK(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	last := "no answer"
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			last = resp.Status
		}
		select {
		case <-c.ended:
			return fmt.Errorf("%s ended before it served:\n%s", c.name, c.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve %s (%s):\n%s", c.name, url, last, c.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail returns the end of what the child printed.
func (c *child) tail() string {
	b, err := os.ReadFile(c.output)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}
