package listen

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func listenerFile(t *testing.T, address string) (*os.File, string) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	return f, ln.Addr().String()
}

func TestInheritedSocketIsUsed(t *testing.T) {
	byAddress, address := listenerFile(t, "127.0.0.1:0")
	unused, spare := listenerFile(t, "127.0.0.1:0")
	in, ignored := InheritFiles([]*os.File{unused, byAddress})
	if len(ignored) != 0 {
		t.Errorf("ignored = %v, want none", ignored)
	}
	r := newTestRegistry(t, Options{Handler: newEcho(), Inherited: in})
	apply(t, r, one("http", address))
	if got := say(t, dial(t, address), "a"); got != "a" {
		t.Errorf("echo = %q, want a", got)
	}
	if got := in.Unused(); len(got) != 1 || got[0].Address != spare {
		t.Errorf("Unused() = %v, want %s", got, spare)
	}
}

func TestInheritedSocketByName(t *testing.T) {
	f, address := listenerFile(t, "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(address)
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	in, _ := InheritFiles([]*os.File{os.NewFile(uintptr(fd), "http")})
	r := newTestRegistry(t, Options{Handler: newEcho(), Inherited: in})
	apply(t, r, one("http", "0.0.0.0:"+port))
	if got := addressOf(t, r, "http"); got != address {
		t.Errorf("bound %s, want the inherited %s", got, address)
	}
}

func TestInheritIgnoresWhatIsNoListener(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, ignored := InheritFiles([]*os.File{r}); len(ignored) != 1 {
		t.Errorf("ignored = %v, want the pipe", ignored)
	}
}

// TestInheritFromEnvironment passes a socket to a child in the way a service manager
// does.
func TestInheritFromEnvironment(t *testing.T) {
	if os.Getenv("LISTEN_TEST_CHILD") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		in, _ := Inherit(0)
		os.Stdout.WriteString("inherited " + in.Unused()[0].Address + " " + os.Getenv("LISTEN_FDS") + "\n")
		return
	}
	f, address := listenerFile(t, "127.0.0.1:0")
	defer f.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestInheritFromEnvironment$")
	cmd.Env = append(os.Environ(), "LISTEN_TEST_CHILD=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=http")
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "inherited "+address+" \n") {
		t.Errorf("child said %q (%v), want %q and no variable left", out, err, "inherited "+address)
	}
}

// TestInheritLeavesOtherDescriptorsAlone announces a pipe as if it were a socket.
func TestInheritLeavesOtherDescriptorsAlone(t *testing.T) {
	if os.Getenv("LISTEN_TEST_CHILD") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		_, ignored := Inherit(0)
		_, err := syscall.Write(firstInheritedFD, []byte("still open"))
		os.Stdout.WriteString("ignored " + strings.Join(ignored, " ") + ", write: " + strconv.FormatBool(err == nil) + "\n")
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestInheritLeavesOtherDescriptorsAlone$")
	cmd.Env = append(os.Environ(), "LISTEN_TEST_CHILD=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=pipe")
	cmd.ExtraFiles = []*os.File{w}
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "ignored pipe, write: true") {
		t.Errorf("child said %q (%v), want the pipe ignored and still open", out, err)
	}
}

func TestInheritIsForThisProcessOnly(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	if in, _ := Inherit(0); in != nil {
		t.Errorf("Inherit(0) with another process's id = %v, want nil", in)
	}
}
