package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processTree returns root and all its living descendants.
func processTree(root int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, ok := parentOf(pid); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

func parentOf(pid int) (parent int, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The command name may hold spaces and parentheses; fields follow the last one.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return parent, err == nil
}

// processCPU is the user and system time that pid has used so far, all its
// threads, ended ones too. It reads the process's CPU clock, which counts
// nanoseconds where the ticks of /proc/PID/stat count hundredths of a second.
func processCPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED; see clock_getcpuclockid(3)
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^uint32(pid))<<3|schedClock, &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// treeCPU sums processCPU over root and its descendants.
func treeCPU(root int) (time.Duration, error) {
	tree, err := processTree(root)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range tree {
		used, err := processCPU(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// treeResident sums the resident memory of root and its descendants in bytes.
// Pages that processes share are divided between them.
func treeResident(root int) (int64, error) {
	tree, err := processTree(root)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range tree {
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		kib, err := fieldKiB(string(rollup), "Pss:")
		if err != nil {
			return 0, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		sum += kib << 10
	}
	return sum, nil
}

func fieldKiB(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			value = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB"))
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in it", name)
}

// machineClock is a reading of how long the cores of this machine were idle.
type machineClock struct {
	at    time.Time
	idle  time.Duration // all cores together
	cores int
}

// readMachineClock reads the idle time: the kernel measures that exactly, while
// it samples the busy columns of /proc/stat at ticks.
func readMachineClock() (machineClock, error) {
	clock := machineClock{at: time.Now()}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return clock, err
	}
	for line := range strings.Lines(string(stat)) {
		f := strings.Fields(line)
		if len(f) < 6 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		if f[0] != "cpu" {
			clock.cores++
			continue
		}
		for _, column := range f[4:6] { // idle, iowait
			ticks, err := strconv.ParseInt(column, 10, 64)
			if err != nil {
				return clock, fmt.Errorf("/proc/stat: %w", err)
			}
			const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
			clock.idle += time.Duration(ticks) * tick
		}
	}
	return clock, nil
}

// busySince is the CPU time that all cores together worked since before.
func (m machineClock) busySince(before machineClock) time.Duration {
	return m.at.Sub(before.at)*time.Duration(m.cores) - (m.idle - before.idle)
}

// pinThreads binds every thread of this process to one core; threads started
// later inherit it.
func pinThreads(core int) error {
	var set unix.CPUSet
	set.Set(core)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("bind to core %d: %w", core, err)
		}
	}
	return nil
}
