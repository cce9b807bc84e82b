package memory

import (
	"testing"
	"testing/fstest"
)

func TestCgroupMemoryLimit(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for _, c := range []struct {
		name string
		fs   fstest.MapFS
		want int64
	}{
		{"no cgroups", fstest.MapFS{}, 0},
		{"version 2", fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/sentinel.service\n"),
			"sys/fs/cgroup/system.slice/sentinel.service/memory.max": file("1073741824\n"),
		}, 1 << 30},
		{"version 2 without limit", fstest.MapFS{
			"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("max\n"),
		}, 0},
		{"limit of the group around", fstest.MapFS{
			"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/memory.max": file("4096\n"),
			"sys/fs/cgroup/a/b/memory.max": file("8192\n"),
		}, 4096},
		{"container that sees the path of its host", fstest.MapFS{
			"proc/self/cgroup": file("0::/docker/abc\n"), "sys/fs/cgroup/memory.max": file("8192\n"),
		}, 8192},
		{"version 1", fstest.MapFS{
			"proc/self/cgroup": file("5:cpu,memory:/a\n0::/\n"), "sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("8192\n"),
		}, 8192},
		{"version 1 without limit", fstest.MapFS{
			"proc/self/cgroup": file("4:memory:/a\n"), "sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("9223372036854771712\n"),
		}, 0},
		{"broken", fstest.MapFS{"proc/self/cgroup": file("what\n1:\n0::\n")}, 0},
	} {
		if got := cgroupMemoryLimit(c.fs); got != c.want {
			t.Errorf("%s: cgroupMemoryLimit() = %d, want %d", c.name, got, c.want)
		}
	}
}
