package runbook

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// blockLimit bounds how long one block may take.
const blockLimit = 3 * time.Minute

// Shell runs blocks as a terminal would in which they are typed one after the other:
// variables that one sets are there for the next. It wants bash.
type Shell struct {
	env   []string
	state string // the file that carries variables from block to block
	in    io.Reader
}

// NewShell returns a shell that keeps what it must in dir. Env is added to the environment
// of this process; in is what blocks read, nil for nothing.
func NewShell(dir string, env []string, in io.Reader) *Shell {
	return &Shell{env: append(os.Environ(), env...), state: filepath.Join(dir, "variables"), in: in}
}

// wrapped runs $2 with the variables of file $1, and writes them back.
const wrapped = `set -a
[ ! -e "$1" ] || . "$1"
_variables=$1
trap 'code=$?; export -p >"$_variables"; exit $code' EXIT
eval "$2"`

// Run runs a block and returns its exit code. What it prints, to either output, goes to out.
// A block that takes too long is ended with all that it has started.
func (s *Shell) Run(ctx context.Context, block string, out io.Writer) (code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, blockLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", wrapped, "runbook", s.state, block)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.env, s.in, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: s.in == nil}
	cmd.Cancel = func() error {
		if s.in == nil {
			return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
		return exit.ExitCode(), nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return cmd.ProcessState.ExitCode(), err
}
