package lifecycle

import "runtime"

// setWorkers sets how many threads run Go code at once; 0 is what the runtime finds in
// CPUs and cgroup.
func setWorkers(n int) {
	switch {
	case n == 0:
		runtime.SetDefaultGOMAXPROCS()
	case n != runtime.GOMAXPROCS(0):
		runtime.GOMAXPROCS(n)
	}
}
