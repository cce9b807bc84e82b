package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/notify"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptWait bounds how long a script waits for the process it has started.
const scriptWait = 10 * time.Second

// TestMain makes this binary the command "sentinel" of the scripts, and "get", which
// prints an answer's status and content.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sentinel": func() { os.Exit(Main()) },
		"get":      func() { os.Exit(get(os.Args[1:])) },
	})
}

func get(urls []string) int {
	for _, url := range urls {
		resp, err := http.Get(url)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(resp.Status)
		io.Copy(os.Stdout, resp.Body)
		resp.Body.Close()
	}
	return 0
}

// TestScripts runs what a person could type. Beside the usual commands a script has
//
//	notified BEGIN        wait until sentinel tells its service manager so
//	address LISTENER VAR  put the address of a listener, or of metrics, into VAR
//	origin VAR            start an origin that answers "origin: PATH"
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup:         setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"notified": notified,
			"address":  address,
			"origin":   origin,
		},
	})
}

type managerKey struct{}

func setupScript(env *testscript.Env) error {
	env.Setenv("SENTINEL_CONFIG", filepath.Join(env.WorkDir, "config.kdl"))
	socket := filepath.Join(env.WorkDir, ".notify")
	env.Setenv(notify.Variable, socket)
	manager, err := notify.Listen(socket)
	if err != nil {
		return err
	}
	env.Defer(func() { manager.Close() })
	env.Values[managerKey{}] = manager
	return nil
}

func notified(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: notified BEGIN")
	}
	ts.Check(ts.Value(managerKey{}).(*notify.Socket).Await(args[0], scriptWait))
}

func address(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: address LISTENER VAR")
	}
	s, err := admin.NewClient(ts.MkAbs("admin.sock"), scriptWait).Status(context.Background())
	ts.Check(err)
	if args[0] == "metrics" {
		ts.Setenv(args[1], s.Metrics)
		return
	}
	for _, l := range s.Listeners {
		if l.Name == args[0] {
			ts.Setenv(args[1], l.Addresses[0])
			return
		}
	}
	ts.Fatalf("no listener %q", args[0])
}

func origin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: origin VAR")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "origin: %s\n", r.URL.Path)
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.Listener.Addr().String())
}
