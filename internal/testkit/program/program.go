// Package program builds the programs that tests run as processes, and finds addresses that
// these can listen on.
package program

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sentinel/internal/testkit/race"
)

// root is the root of the module as seen from the folder of a test, two below it.
const root = "../.."

// Build is a program to build.
type Build struct {
	Name    string // of the file
	Package string
	ModFile string // go.mod that knows the package, from the root of the module; empty for the module's own
	Race    bool   // with the race detector
}

// Sentinel is the program under test, by the name it is installed under, with the race
// detector if the tests have it.
func Sentinel() Build {
	return Build{Name: "sentinel", Package: "sentinel/cmd/sentinel", Race: race.Enabled()}
}

// Main builds programs into a folder, tells where that is, runs the tests and returns the exit
// code for os.Exit. It is for TestMain.
func Main(m *testing.M, dir *string, programs ...Build) int {
	code, err := run(m, dir, programs)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

func run(m *testing.M, dir *string, programs []Build) (code int, err error) {
	if *dir, err = os.MkdirTemp("", "sentinel-test-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(*dir)
	for _, b := range programs {
		if err := b.Into(*dir); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// Into builds the program into a folder, given as an absolute path.
func (b Build) Into(dir string) error {
	args := []string{"build", fmt.Sprintf("-race=%v", b.Race), "-o", filepath.Join(dir, b.Name)}
	if b.ModFile != "" {
		args = append(args, "-modfile="+b.ModFile)
	}
	build := exec.Command("go", append(args, b.Package)...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", b.Package, err, out)
	}
	return nil
}

// The ports that FreeAddress chooses from lie below those that the kernel gives to outgoing
// connections.
const firstPort, ports = 10000, 22000

// FreeAddress returns a loopback address, host:port, that nobody listens on.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	for range 5000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+(os.Getpid()*37+int(nextPort.Add(1)))%ports))
		if err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	tb.Fatal("no free port")
	return ""
}

// nextPort is where FreeAddress goes on looking.
var nextPort atomic.Int32
