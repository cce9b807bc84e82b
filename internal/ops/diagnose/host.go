package diagnose

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// host is what is known of the machine.
type host struct {
	conntrack, conntrackMax int64 // 0: not seen
	oomKills                int64 // in the cgroup of the process
}

// disk is a file system that the proxy writes to.
type disk struct {
	what, path string
	free, size uint64 // bytes, for users who aren't root
	filesFree  uint64
	filesSize  uint64
	readOnly   bool
	denied     bool // the folder can't be written by who asks
}

// full reports whether next to nothing fits any more.
func (d *disk) full() bool {
	const bytesLeast, part, filesLeast = 1 << 20, 200, 16
	return d.size > 0 && (d.free < bytesLeast && d.free < d.size/10 || d.free < d.size/part) || d.filesSize > 0 && d.filesFree < filesLeast
}

// readDisks looks at the file systems of the folders that are written to, and at what the kernel
// says of the machine.
func (f *facts) readDisks(context.Context) {
	places := [][2]string{{"state folder", f.cfg.System.StateDir.V}, {"pid file's folder", filepath.Dir(f.cfg.System.PIDFile.V)}}
	for what, file := range map[string]string{"log's folder": f.cfg.Observability.Logging.File.V, "access log's folder": f.cfg.Observability.Logging.AccessLog.File.V} {
		if file != "" {
			places = append(places, [2]string{what, filepath.Dir(file)})
		}
	}
	for _, p := range places {
		d, err := readDisk(p[0], p[1])
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			f.blind(p[0] + " " + p[1] + ": " + err.Error())
		default:
			f.disks = append(f.disks, d)
		}
	}
	f.host.conntrack = readNumber("/proc/sys/net/netfilter/nf_conntrack_count")
	f.host.conntrackMax = readNumber("/proc/sys/net/netfilter/nf_conntrack_max")
	if f.process.Cgroup != "" {
		if text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", f.process.Cgroup, "memory.events")); err == nil {
			f.host.oomKills, _ = strconv.ParseInt(field(string(text), "oom_kill"), 10, 64)
		}
	}
}

func readDisk(what, path string) (disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return disk{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	block := uint64(s.Bsize)
	return disk{
		what: what, path: path, free: s.Bavail * block, size: s.Blocks * block, filesFree: s.Ffree, filesSize: s.Files,
		readOnly: s.Flags&unix.ST_RDONLY != 0, denied: unix.Access(path, unix.W_OK) != nil,
	}, nil
}

func readNumber(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}
