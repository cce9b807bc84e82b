package flood

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/race"
)

// memoryBudget is what the proxy may take, in MiB, and memoryConfig lets each upload have a
// hundredth of it kept for another try.
const (
	memoryBudget = 128
	memoryConfig = `
limits { max-connections 50000; max-body-size 0; max-header-size "32KiB" }
timeouts { header-secs 60; read-secs 60; min-body-rate 0 }
routes {
    route "app" { upstream "app"; retry-policy { max-attempts 3; max-body-size "1MiB" } }
}
`
)

// hoarders make the proxy hold memory for them, each in another way.
func hoarders() map[string]string {
	return map[string]string{
		"uploads kept for another try": "PUT /app HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 900_000),
		"uploads that never end":       "POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n" + strings.Repeat("x", 4000),
		"heads that never end":         "GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + strings.Repeat("x", 31_000),
	}
}

// hoardMax bounds how many connections try to fill the memory.
const hoardMax = 6000

// TestMemoryCgroup fills a proxy that lives in a cgroup with little memory: it lives on,
// says how short memory is, answers /health, and recovers.
func TestMemoryCgroup(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector takes more memory than the budget")
	}
	for name, text := range hoarders() {
		t.Run(name, func(t *testing.T) {
			group := newMemoryGroup(t, memoryBudget<<20)
			p := start(t, memoryConfig, "sh", "-c", `echo $$ > "$0" && exec "$@"`, group.file("cgroup.procs"))
			p.hoard(text, group)
		})
	}
}

// hoard opens connections until memory is short, and then a few more.
func (p *proxy) hoard(text string, group *memoryGroup) {
	t := p.t
	var held []net.Conn
	free := func() {
		for _, c := range held {
			c.Close()
		}
		held = nil
	}
	defer free()
	stage, last := 0.0, 0
	for n := 0; n < hoardMax && (stage < 3 || n < last+100); n++ {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: hostile(n % attackers)}, Timeout: attackPatience}
		c, err := d.Dial("tcp", p.http)
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		held = append(held, c)
		c.SetDeadline(time.Now().Add(attackPatience))
		c.Write([]byte(text))
		if n%20 == 0 && stage < 3 {
			if now := p.series("sentinel_memory_stage"); now > stage {
				t.Logf("stage %v after %d connections, %d MiB resident", now, n, p.resident()>>10)
				stage, last = now, n
			}
		}
	}
	if stage < 1 {
		t.Errorf("%d connections don't make memory short", len(held))
	}
	if status := p.ask("/health"); status != "200" {
		t.Errorf("/health while memory is short = %q", status)
	}
	if told := p.command("events", "--kind", "memory"); !strings.Contains(told, "memory") || !strings.Contains(told, "MiB in use") {
		t.Errorf("no event says that memory is short: %q", told)
	}
	t.Logf("%d connections; the group had %d MiB of %d at most", len(held), group.peak()>>20, memoryBudget)
	free()
	p.await("recovery", func() bool { return p.series("sentinel_memory_stage") == 0 })
	if status := p.ask("/app"); status != "200" {
		t.Errorf("after the flood = %q", status)
	}
	if n := group.killed(); n != 0 {
		t.Errorf("the kernel killed %d processes for memory", n)
	}
}

// ask sends one request from 127.0.0.1 and returns the status of the answer.
func (p *proxy) ask(path string) string {
	c, err := net.DialTimeout("tcp", p.http, attackPatience)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(attackPatience))
	c.Write([]byte(request(path, programAsks)))
	status, err := skipAnswer(bufio.NewReader(c))
	if err != nil {
		return err.Error()
	}
	return status
}

// memoryGroup is a cgroup of its own with a limit of memory, of either version (cgroups(7)).
type memoryGroup struct {
	t   *testing.T
	dir string
	v2  bool
}

// newMemoryGroup makes a group, or skips the test where the machine doesn't let it.
func newMemoryGroup(t *testing.T, limit int64) *memoryGroup {
	t.Helper()
	name := fmt.Sprintf("sentinel-flood-%d-%d", os.Getpid(), time.Now().UnixNano())
	g := &memoryGroup{t: t, dir: filepath.Join("/sys/fs/cgroup/memory", name)}
	bound := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		g.dir, g.v2, bound = filepath.Join("/sys/fs/cgroup", name), true, "memory.max"
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("no cgroup can be made here: %v", err)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(patience); os.Remove(g.dir) != nil && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
	})
	if err := os.WriteFile(g.file(bound), []byte(strconv.FormatInt(limit, 10)), 0o644); err != nil {
		t.Skipf("no limit of memory can be set here: %v", err)
	}
	return g
}

func (g *memoryGroup) file(name string) string { return filepath.Join(g.dir, name) }

// peak returns the most bytes that the group ever had; 0 where the kernel doesn't tell.
func (g *memoryGroup) peak() int64 {
	name := "memory.max_usage_in_bytes"
	if g.v2 {
		name = "memory.peak"
	}
	text, _ := os.ReadFile(g.file(name))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// killed returns how many processes the kernel has ended for want of memory.
func (g *memoryGroup) killed() int64 {
	name := "memory.oom_control"
	if g.v2 {
		name = "memory.events"
	}
	text, err := os.ReadFile(g.file(name))
	if err != nil {
		g.t.Error(err)
	}
	_, rest, _ := strings.Cut(string(text), "oom_kill ")
	word, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.ParseInt(word, 10, 64)
	return n
}
