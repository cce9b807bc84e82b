package lifecycle

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// gcPercent lets garbage grow to four times what lives: the proxy's live heap is
	// small and its memory limit catches the rest.
	gcPercent = 400
	// memoryShare of the cgroup's limit is what the Go heap may take, in percent; the rest
	// is for the kernel's socket buffers and page cache that count there too.
	memoryShare = 80
)

// tuneMemory sets how the garbage collector works. The environment variables GOGC and
// GOMEMLIMIT win. It returns the limit in bytes, 0 for none.
func tuneMemory() int64 {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return debug.SetMemoryLimit(-1)
	}
	limit := cgroupMemoryLimit(os.DirFS("/"))
	if limit == 0 {
		return 0
	}
	limit = limit / 100 * memoryShare
	debug.SetMemoryLimit(limit)
	return limit
}

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

// cgroupMemoryLimit returns the smallest memory limit of the cgroups that this process is
// in, version 2 or 1, in bytes; 0 when there is none (cgroups(7)).
func cgroupMemoryLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	limit := int64(math.MaxInt64)
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[1] == "":
			limit = min(limit, smallestUpwards(root, "sys/fs/cgroup", parts[2], "memory.max"))
		case hasController(parts[1], "memory"):
			limit = min(limit, smallestUpwards(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes"))
		}
	}
	if limit >= unlimited {
		return 0
	}
	return limit
}

// unlimited is below what version 1 says for "no limit" (the largest page multiple).
const unlimited = int64(1) << 60

func hasController(list, name string) bool {
	for c := range strings.SplitSeq(list, ",") {
		if c == name {
			return true
		}
	}
	return false
}

// smallestUpwards returns the smallest limit of a group and those around it. In a
// container the path may name folders of the host that aren't there; the top one is.
func smallestUpwards(root fs.FS, top, group, file string) int64 {
	limit := int64(math.MaxInt64)
	for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
		if b, err := fs.ReadFile(root, path.Join(top, dir, file)); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
				limit = min(limit, n)
			}
		}
		if dir == "/" {
			return limit
		}
	}
}
