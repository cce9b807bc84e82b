package memory

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// gcPercent lets garbage grow to four times what lives: the proxy's live heap is
	// small and its memory limit catches the rest.
	gcPercent = 400
	// memoryShare of the budget is what the Go heap may take, in percent; the rest is for
	// the kernel's socket buffers and page cache that count there too.
	memoryShare = 80
)

// Tune sets how the garbage collector works under a budget of that many bytes; 0 is none.
// The environment variables GOGC and GOMEMLIMIT win.
func Tune(budget int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if budget == 0 {
		debug.SetMemoryLimit(math.MaxInt64)
		return
	}
	debug.SetMemoryLimit(budget / 100 * memoryShare)
}

// Budget returns what the process may take: what the operator allows and the cgroup does,
// the smaller of the two, in bytes; 0 for no bound. allowed is 0 where nothing is said.
func Budget(allowed int64) int64 {
	limit := cgroupMemoryLimit(os.DirFS("/"))
	if limit == 0 || allowed > 0 && allowed < limit {
		return allowed
	}
	return limit
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
