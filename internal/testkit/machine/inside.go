package machine

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// commandLimit bounds how long one command may take in a machine.
const commandLimit = 2 * time.Minute

// Command returns a command that runs in the machine, in its root folder and with root's
// rights. It isn't started.
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(m.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--", name}, args...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"}
	cmd.WaitDelay = time.Second
	return cmd
}

// Try runs a command in the machine and returns what it prints to both outputs, and an error
// if it ended with another code than 0, as *exec.ExitError.
func (m *Machine) Try(name string, args ...string) (string, error) {
	var out bytes.Buffer
	err := m.run(m.Command(name, args...), nil, &out, &out)
	return out.String(), err
}

// Run runs a command in the machine and returns its standard output. The test ends if the
// command fails.
func (m *Machine) Run(name string, args ...string) string {
	m.tb.Helper()
	return m.feed(nil, name, args...)
}

// Shell runs a line as an operator pastes it into a shell of the machine, and returns what it
// prints to both outputs, whatever its exit code.
func (m *Machine) Shell(line string) string {
	m.tb.Helper()
	out, _ := m.Try("bash", "-c", line)
	return out
}

func (m *Machine) feed(in io.Reader, name string, args ...string) string {
	m.tb.Helper()
	var out, errs bytes.Buffer
	if err := m.run(m.Command(name, args...), in, &out, &errs); err != nil {
		m.tb.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

func (m *Machine) run(cmd *exec.Cmd, in io.Reader, out, errs io.Writer) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errs
	if err := cmd.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(commandLimit, func() { cmd.Process.Kill() })
	defer late.Stop()
	return cmd.Wait()
}

// Write puts a file into the machine, with its folder, in one step.
func (m *Machine) Write(path, content string, mode fs.FileMode) {
	m.tb.Helper()
	m.feed(strings.NewReader(content), "sh", "-c", fmt.Sprintf(`install -D -m %o /dev/stdin "$1.new" && mv "$1.new" "$1"`, mode), "write", path)
}

// Install copies a file of the host into the machine, with its folder, in one step.
func (m *Machine) Install(file, path string, mode fs.FileMode) {
	m.tb.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		m.tb.Fatal(err)
	}
	m.Write(path, string(content), mode)
}

// Read returns the content of a file of the machine.
func (m *Machine) Read(path string) string {
	m.tb.Helper()
	return m.Run("cat", path)
}

// Await runs a line in a shell of the machine again and again until its exit code is 0, and
// returns what it printed then.
func (m *Machine) Await(line string) string {
	m.tb.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(commandLimit); ; <-tick.C {
		out, err := m.Try("bash", "-c", line)
		if err == nil {
			return out
		}
		if time.Now().After(deadline) {
			m.tb.Fatalf("never came true in the machine: %s\n%s", line, out)
		}
	}
}
