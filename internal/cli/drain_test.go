package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/control/admin"
)

func TestSplitTarget(t *testing.T) {
	known := []admin.UpstreamStatus{{Name: "a/b"}, {Name: "a"}, {Name: "web"}}
	for _, c := range []struct{ what, upstream, target string }{
		{"web", "web", ""},
		{"web/10.0.0.1:80", "web", "10.0.0.1:80"},
		{"a/b", "a/b", ""},
		{"a/b/[::1]:80", "a/b", "[::1]:80"},
		{"a/c", "a", "c"},
		{"webb/x", "webb", "x"},
		{"other", "other", ""},
		{"web/", "web", ""},
		{"web/unix:/run/x.sock", "web", "unix:/run/x.sock"},
	} {
		if u, target := splitTarget(c.what, known); u != c.upstream || target != c.target {
			t.Errorf("splitTarget(%q) = %q, %q, want %q, %q", c.what, u, target, c.upstream, c.target)
		}
	}
}

func TestDrainWait(t *testing.T) {
	target := func(state string, n int) []admin.UpstreamStatus {
		return []admin.UpstreamStatus{{Name: "a", Targets: []admin.TargetStatus{{Address: "x", State: state, InProgress: n}, {Address: "y", State: admin.TargetHealthy, InProgress: 9}}}}
	}
	whole := func(drained bool, n, pending int) []admin.UpstreamStatus {
		return []admin.UpstreamStatus{{Name: "a", Drained: drained, InProgress: n, Pending: pending}}
	}
	for _, c := range []struct {
		name   string
		target string
		answer func(asked int) ([]admin.UpstreamStatus, error)
		told   string
		left   int
		err    string
		took   time.Duration
	}{
		{"at once", "x", func(int) ([]admin.UpstreamStatus, error) { return target(admin.TargetDrained, 0), nil }, "[]", 0, "", 0},
		{"in the end", "x", func(n int) ([]admin.UpstreamStatus, error) { return target(admin.TargetDraining, max(0, 3-n)), nil }, "[3 2 1]", 0, "", 3 * waitEvery},
		{"never", "x", func(int) ([]admin.UpstreamStatus, error) { return target(admin.TargetDraining, 1), nil }, "[1]", 1, "1 request still in progress after 1s; the drain goes on", time.Second},
		{"undone", "x", func(n int) ([]admin.UpstreamStatus, error) {
			if n > 0 {
				return target(admin.TargetHealthy, 1), nil
			}
			return target(admin.TargetDraining, 1), nil
		}, "[1]", 0, errUndone.Error(), waitEvery},
		{"target removed", "z", func(int) ([]admin.UpstreamStatus, error) { return target(admin.TargetDraining, 1), nil }, "[]", 0, `target "z" was removed from upstream "a" meanwhile`, 0},
		{"upstream removed", "", func(int) ([]admin.UpstreamStatus, error) { return nil, nil }, "[]", 0, `upstream "a" was removed from the configuration meanwhile`, 0},
		{"upstream", "", func(n int) ([]admin.UpstreamStatus, error) { return whole(true, max(0, 1-n), max(0, 2-n)), nil }, "[3 1]", 0, "", 2 * waitEvery},
		{"upstream undone", "", func(int) ([]admin.UpstreamStatus, error) { return whole(false, 1, 0), nil }, "[]", 0, errUndone.Error(), 0},
		{"no answer", "x", func(int) ([]admin.UpstreamStatus, error) { return nil, errAsk }, "[]", 0, "no answer", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, told, began := 0, []int{}, time.Now()
				d := drainWait{
					upstream: "a", target: c.target,
					ask:  func(context.Context) ([]admin.UpstreamStatus, error) { asked++; return c.answer(asked - 1) },
					tell: func(n int) { told = append(told, n) },
				}
				left, err := d.until(t.Context(), time.Second)
				if left != c.left || errorText(err) != c.err || fmt.Sprint(told) != c.told || time.Since(began) != c.took {
					t.Errorf("until = %d, %v after %v, told %v, want %d, %q after %v, %s", left, err, time.Since(began), told, c.left, c.err, c.took, c.told)
				}
			})
		})
	}
}

// Names are completed by the running process; without one there are none, and no error.
func TestCompletion(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	if code, out, err := call(t, "", nil, "__complete", "drain", "--admin-socket", socket, ""); code != 0 || strings.Contains(out, "primary") {
		t.Errorf("completion without a process = %d, %q, %q, want no name", code, out, err)
	}
	_, end, err := serveOperated(socket, &fakeOperated{list: twoUpstreams()})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for _, c := range []struct{ args, want string }{
		{"drain --admin-socket S ", "primary\nbackup\n"},
		{"drain --admin-socket S primary/", "primary/10.0.0.1:80\nprimary/web.internal:80\n"},
		{"upstreams --admin-socket S p", "primary\n"},
		{"events --admin-socket S --upstream b", "backup\n"},
		{"events --kind h", "health\n"},
	} {
		args := strings.Split(strings.ReplaceAll(c.args, "S", socket), " ")
		if code, out, err := call(t, "", nil, append([]string{"__complete"}, args...)...); code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("completion of %q = %d, %q, %q, want %q", c.args, code, out, err, c.want)
		}
	}
}

func TestOperatorUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		err  string
	}{
		{"drain", 2, "UPSTREAM or UPSTREAM/TARGET wanted, 0 given"},
		{"drain a --undo --wait", 2, "nothing to wait for"},
		{"drain a --timeout 5s", 2, "--timeout is for --wait"},
		{"drain a --wait --timeout 0s", 2, "more than 0 wanted"},
		{"upstreams a b", 2, "at most 1 NAME wanted, 2 given"},
		{"events now", 2, "no argument wanted"},
		{"events --kind helth", 2, `there is no kind "helth" of events: there are health, breaker`},
		{"events --since yesterday", 2, "invalid argument"},
		{"drain a", 3, "isn't running"},
		{"upstreams", 3, "isn't running"},
		{"events --follow", 3, "isn't running"},
	} {
		if code, out, err := call(t, "", nil, strings.Fields(c.args)...); code != c.code || !strings.Contains(err, c.err) || out != "" {
			t.Errorf("sentinel %s: exit code %d, %q, %q, want %d and %q", c.args, code, out, err, c.code, c.err)
		}
	}
}
