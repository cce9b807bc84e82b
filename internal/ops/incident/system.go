package incident

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// system returns what the machine says of itself. A program that isn't there has what the
// kernel says in its stead, where there is such a thing.
func (f *From) system() []Source {
	return []Source{
		{"memory.txt", f.program([]string{"/proc/meminfo", "/proc/pressure/memory", "/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"}, "free", "-h")},
		{"disk.txt", f.program([]string{"/proc/mounts", "/proc/pressure/io"}, "df", "-h")},
		{"inodes.txt", f.program(nil, "df", "-i")},
		{"connections.txt", f.program([]string{"/proc/net/sockstat", "/proc/net/sockstat6", "/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max"}, "ss", "-s")},
		{"listeners.txt", f.program([]string{"/proc/net/tcp", "/proc/net/tcp6"}, "ss", "-Hltnp")},
		{"network.txt", f.program([]string{"/proc/net/netstat", "/proc/net/snmp"}, "ip", "-s", "link")},
		{"processes.txt", f.program([]string{"/proc/loadavg", "/proc/pressure/cpu", "/sys/fs/cgroup/cpu.stat"}, "ps", "axo", "pid,ppid,user,stat,rss,pcpu,etime,comm")},
		{"kernel.log", f.program(nil, "dmesg", "--ctime")},
		{"unit.txt", f.program(nil, "systemctl", "status", "--no-pager", "--lines=50", f.unit())},
		{"machine.txt", f.program([]string{"/proc/version", "/proc/cpuinfo", "/etc/os-release"}, "uname", "-a")},
		{"process.txt", f.process},
	}
}

func (f *From) unit() string {
	if f.Unit == "" {
		return "sentinel"
	}
	return f.Unit
}

// program writes what a program prints, and then files. It fails when neither gives anything.
func (f *From) program(files []string, name string, args ...string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		err := f.run(ctx, w, name, args...)
		if writeFiles(w, files) > 0 {
			return nil
		}
		return err
	}
}

// writeFiles writes those files that there are and returns how many.
func writeFiles(w io.Writer, files []string) (n int) {
	for _, path := range files {
		if text, err := readAtMost(path, 1<<20); err == nil {
			fmt.Fprintf(w, "===== %s\n%s\n", path, text)
			n++
		}
	}
	return n
}

// killWait is how long a program may take to end after its time is over.
const killWait = time.Second

func (f *From) run(ctx context.Context, w io.Writer, name string, args ...string) error {
	if f.Run != nil {
		return f.Run(ctx, w, name, args...)
	}
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr, c.WaitDelay = w, w, killWait
	return c.Run()
}

// journal writes the log as the journal has it.
func (f *From) journal(ctx context.Context, w io.Writer) error {
	since := fmt.Sprintf("-%dm", int(f.since().Minutes()))
	return f.run(ctx, w, "journalctl", "--no-pager", "-u", f.unit(), "--since", since)
}

// logSince is how far back the journal is kept when nobody says otherwise.
const logSince = time.Hour

func (f *From) since() time.Duration {
	if f.Since <= 0 {
		return logSince
	}
	return f.Since
}

// process writes what the kernel says of the proxy's process.
func (f *From) process(ctx context.Context, w io.Writer) error {
	s, err := f.Client.Status(ctx)
	if err != nil {
		return err
	}
	if s.PID <= 0 {
		return errors.New("its number isn't known")
	}
	dir := "/proc/" + strconv.Itoa(s.PID) + "/"
	open, err := os.ReadDir(dir + "fd")
	if err == nil {
		fmt.Fprintf(w, "open descriptors: %d\n", len(open))
	}
	writeFiles(w, []string{dir + "status", dir + "limits", dir + "cgroup", dir + "io", dir + "stat", dir + "smaps_rollup"})
	return nil
}
