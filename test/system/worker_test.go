package system

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
)

// TestWorkerThreads reads from the running process how many threads run Go code at once,
// at the start and after reloads.
func TestWorkerThreads(t *testing.T) {
	text := func(n int) string {
		return answering + fmt.Sprintf(`system { worker-threads %d; pid-file "$DIR/sentinel.pid"; state-dir "$DIR/state"; admin-socket "$DIR/admin.sock" }`, n)
	}
	usual := runtime.GOMAXPROCS(0)
	runtime.SetDefaultGOMAXPROCS() // what the CPUs and the control group give
	cpus := runtime.GOMAXPROCS(usual)
	const threads = "go_sched_gomaxprocs_threads"
	for _, start := range []int{1, 2, 5} {
		p := newProxy(t)
		p.write(text(start))
		p.launch()
		if got := p.series(threads); got != strconv.Itoa(start) {
			t.Errorf("worker-threads %d: the process has %s", start, got)
		}
		wantGet(t, p.url("/"), 200, "here")
		for n, want := range map[int]int{start + 1: start + 1, 0: cpus} {
			p.reload(text(n))
			if got := p.series(threads); got != strconv.Itoa(want) {
				t.Errorf("worker-threads %d after a reload: the process has %s, want %d", n, got, want)
			}
			wantGet(t, p.url("/"), 200, "here")
		}
	}
}
