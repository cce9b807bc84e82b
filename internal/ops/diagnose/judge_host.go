package diagnose

import (
	"fmt"
	"strconv"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/event"
)

// judgeDisks says where nothing can be written any more.
func judgeDisks(f *facts) []Finding {
	var out []Finding
	for i := range f.disks {
		d := &f.disks[i]
		switch {
		case d.full():
			r := Finding{
				Code: "disk-full", What: fmt.Sprintf("the file system of the %s %s is full", d.what, d.path),
				Evidence: []string{fmt.Sprintf("%d KiB of %d MiB are free, and %d of %d files", d.free>>10, d.size>>20, d.filesFree, d.filesSize)},
				Commands: []Command{
					{"what is full", "df -h " + Word(d.path) + "; df -i " + Word(d.path)},
					{"what takes the room", "du -xah " + Word(d.path) + " | sort -h | tail -20"},
				},
			}
			if d.what != "state folder" && d.what != "pid file's folder" {
				r.Commands = append(r.Commands, Command{"after old logs are gone, open the logs anew", "kill -USR1 " + strconv.Itoa(max(f.process.PID, 1))})
			}
			if !f.up() {
				r.Severity = SEV1
			}
			out = append(out, r)
		case d.what == "state folder" && d.readOnly:
			out = append(out, Finding{
				Code: "state-read-only", What: "the state folder " + d.path + " is on a file system that is mounted read-only",
				Evidence: []string{"bans, drains of the next run and the history of configurations can't be kept"},
				Commands: []Command{{"why the kernel has made it so", "dmesg | grep -i -e remount -e 'i/o error' | tail"}, {"make it writable again", "mount -o remount,rw " + Word(d.path)}},
			})
		case d.what == "state folder" && d.denied && !f.process.NotOurs && f.up():
			out = append(out, Finding{
				Code: "state-read-only", What: "the state folder " + d.path + " can't be written by the user that runs sentinel",
				Evidence: []string{"bans and the history of configurations can't be kept"},
				Commands: []Command{{"who may write it", "ls -ld " + Word(d.path)}},
			})
		}
	}
	return out
}

// nearLimit is the part of a limit from which on it counts as nearly reached.
const nearLimit = 0.85

func judgeDescriptors(f *facts) []Finding {
	p := &f.process
	files, most := float64(p.Files), float64(p.FilesMax)
	if files == 0 {
		files, most = f.after.series["process_open_fds"], f.after.series["process_max_fds"]
	}
	n := f.faultCount(fault.DescriptorLimit)
	if n == 0 && (most == 0 || files < nearLimit*most) {
		return nil
	}
	r := Finding{
		Code: "descriptors-near-limit", What: fmt.Sprintf("sentinel has %.0f files open of %.0f that it may", files, most),
		Evidence: []string{fmt.Sprintf("/proc/%d/limits: max open files %.0f", p.PID, most), f.connectionsText()},
		Commands: []Command{
			{"give it more at once, until it restarts", fmt.Sprintf("prlimit --pid %d --nofile=%d:%d", p.PID, int64(most)*2, int64(most)*2)},
			{"and for good: LimitNOFILE in", "systemctl edit sentinel"},
			{"who holds connections", f.command("top clients")},
		},
	}
	if n > 0 {
		r.Severity = SEV2
		r.Evidence = append(r.Evidence, fmt.Sprintf("%d requests of the last minute found no descriptor free", n))
	}
	return []Finding{r}
}

func (f *facts) connectionsText() string {
	s := &f.running.status
	if f.running.err == nil {
		return fmt.Sprintf("%d client connections are open, %d may be", s.Connections, s.Limit)
	}
	return fmt.Sprintf("%d client connections are open", len(f.peers))
}

// The words of the stages of memory.
func stageName(stage int) string { return [...]string{"ample", "lean", "tight", "short"}[stage&3] }

func judgeMemory(f *facts) []Finding {
	stage := int(f.after.series["sentinel_memory_stage"])
	n := f.faultCount(fault.MemoryLimit)
	if stage == 0 && n == 0 {
		return nil
	}
	rss, budget := f.after.series["process_resident_memory_bytes"], f.after.series["sentinel_memory_budget_bytes"]
	r := Finding{
		Code: "memory-shedding", Severity: [...]Severity{SEV4, SEV4, SEV3, SEV2}[stage&3],
		What:     fmt.Sprintf("memory is %s: %.0f of %.0f MiB", stageName(stage), rss/(1<<20), budget/(1<<20)),
		Evidence: []string{f.connectionsText()},
	}
	if n > 0 {
		r.Severity = max(r.Severity, byShare(f.share(n)))
		r.Evidence = append(r.Evidence, fmt.Sprintf("%d requests of the last minute were turned away for it", n))
	}
	for _, e := range f.running.events {
		if e.Kind == event.KindMemory && e.Worse {
			r.Evidence = append(r.Evidence, clock(e.Time)+" "+e.Message()+": "+e.Cause)
		}
	}
	r.Evidence = first(r.Evidence, linesShown)
	r.Commands = append([]Command{{"who holds it", f.command("top clients")}}, f.lowerConnections()...)
	r.Commands = append(r.Commands, Command{"if it stays critical", "systemctl restart sentinel"})
	return []Finding{r}
}

// lowerConnections allows half the connections, for a while.
func (f *facts) lowerConnections() []Command {
	limit := f.running.status.Limit / 2
	if limit == 0 {
		limit = 5000
	}
	return []Command{{
		"allow half the connections for half an hour (undo: emergency revert)",
		f.command(fmt.Sprintf("emergency limits --max-connections %d --max-connections-per-client %d --reason 'sentinel diagnose'", limit, max(limit/100, 10))),
	}}
}

// throttledLeast is the part of the periods of a second in which the cgroup stood still.
const throttledLeast = 0.25

func judgeHost(f *facts) []Finding {
	var out []Finding
	if h := f.host; h.conntrackMax > 0 && float64(h.conntrack) > 0.9*float64(h.conntrackMax) {
		out = append(out, Finding{
			Code: "conntrack-full", What: fmt.Sprintf("the kernel tracks %d connections of %d that it can", h.conntrack, h.conntrackMax),
			Evidence: []string{"/proc/sys/net/netfilter/nf_conntrack_count and nf_conntrack_max"},
			Commands: []Command{{"make room at once", fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*h.conntrackMax)}, {"what the kernel says", "dmesg | grep conntrack | tail"}},
		})
	}
	if n := f.faultCount(fault.PortsExhausted); n > 0 {
		out = append(out, Finding{
			Code: "ports-exhausted", Severity: byShare(f.share(n)), What: "no local port is left towards an upstream",
			Evidence: []string{fmt.Sprintf("%d requests of the last minute found none", n)},
			Commands: []Command{{"give out more", "sysctl -w net.ipv4.ip_local_port_range='1024 65535'"}, {"how many stand in TIME-WAIT", "ss -s"}},
		})
	}
	if p := f.after.periods - f.before.periods; p > 0 && f.after.periods > f.before.periods {
		if n := f.after.throttled - f.before.throttled; float64(n) >= throttledLeast*float64(p) {
			out = append(out, Finding{
				Code: "cpu-throttled", What: fmt.Sprintf("the cgroup stopped sentinel in %d of %d periods of the last second", n, p),
				Evidence: []string{"cpu.stat of " + f.process.Cgroup},
				Commands: []Command{{"what the unit allows it", "systemctl show sentinel -p CPUQuotaPerSecUSec"}, {"lift it until the next start", "systemctl set-property --runtime sentinel CPUQuota="}},
			})
		}
	}
	if f.up() && f.before.dropped && f.after.overflows > f.before.overflows && f.before.queue+f.after.queue > 0 {
		out = append(out, Finding{
			Code: "listen-overflow", What: fmt.Sprintf("the kernel dropped %d connections within a second: accept queues are full", f.after.overflows-f.before.overflows),
			Evidence: []string{fmt.Sprintf("%d connections wait at our listeners to be accepted", max(f.before.queue, f.after.queue)), "ListenOverflows in /proc/net/netstat, which counts all programs of this machine"},
			Commands: []Command{{"which socket it is", "ss -ltn | awk '$2 >= $3'"}, {"allow longer queues from the next start", "sysctl -w net.core.somaxconn=65535"}},
		})
	}
	return out
}

// judgeStore says that the store of rate limits is away.
func judgeStore(f *facts) []Finding {
	var last *event.Event
	for i := range f.running.events {
		if f.running.events[i].Kind == event.KindStore {
			last = &f.running.events[i]
		}
	}
	if last == nil || !last.Worse {
		return nil
	}
	return []Finding{{
		Code: "rate-limit-store-away", What: "the store that rate limits share is away since " + clock(last.Time),
		Evidence: []string{last.Cause, "each proxy counts its share by itself meanwhile"},
		Commands: []Command{{"follow what becomes of it", f.command("events --kind store --since 1h")}},
	}}
}

// frequent names the largest of the top clients.
func frequent(t traffic) (c admin.TopEntry, share float64) {
	if len(t.clients) == 0 || t.requests == 0 {
		return c, 0
	}
	c = t.clients[0]
	return c, float64(c.Count-min(c.Error, c.Count)) / float64(t.requests)
}
