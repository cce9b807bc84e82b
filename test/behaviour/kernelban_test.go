package behaviour

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/origin"
)

// insideVariable says that the test runs in a network namespace of its own.
const insideVariable = "SENTINEL_TEST_NETNS"

// inNamespace runs the test once more in a process with a network of its own, by wrap if there
// is one, and reports whether this is that process.
func inNamespace(t *testing.T, wrap ...string) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	for _, program := range append([]string{"ip", "nft"}, wrap...) {
		if !strings.HasPrefix(program, "-") {
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("%s is missing: apt-get install iproute2 nftables util-linux", program)
			}
		}
	}
	line := append([]string{"-c", `ip link set lo up && exec "$@"`, "sh"}, wrap...)
	cmd := exec.Command("sh", append(line, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("no network namespace may be made here: %v", err)
	}
	if err != nil {
		t.Errorf("in a network namespace: %v\n%s", err, out)
	}
	return false
}

func nft(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("nft", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("nft %s: %v %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// connects reports how a connection of a client to an address begins: "stands", or "nothing"
// where the kernel answers nothing.
func connects(t *testing.T, client, address string) string {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}, Timeout: 300 * time.Millisecond}
	c, err := d.Dial("tcp", address)
	if err == nil {
		c.Close()
		return "stands"
	}
	if isTimeout(err) {
		return "nothing"
	}
	return err.Error()
}

const kernelBans = "system { $FILES; kernel-bans %q }\n"

// The kernel drops what banned clients send to begin connections to listeners, and only that;
// its table follows bans, reloads and the end of the process.
func TestKernelBans(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	held, release := make(chan struct{}, 1), make(chan struct{})
	o := origin.Start(t, origin.Answer(func(r origin.Request) string {
		if r.Target == "/slow" {
			held <- struct{}{}
			<-release
		}
		return origin.Response(r, 200, "done")
	}))
	config := func(mode string) string { return fmt.Sprintf(kernelBans, mode) + forward(o, "", "") }
	p := start(t, "", config("on"))
	reload := func(mode string) {
		if o := p.Reload(`listeners { listener "l" { address "` + p.addr + `" } }` + "\n" + config(mode)); !o.OK {
			t.Fatal(o)
		}
	}
	expect := func(when, client, want string) {
		t.Helper()
		if got := connects(t, client, p.addr); got != want {
			t.Errorf("%s, a connection of %s: %s, want %s\n%s", when, client, got, want, nft(t, "list", "ruleset"))
		}
	}
	busy, err := p.from("127.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	busy.Send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	<-held

	r := p.ban("127.0.0.7", "127.0.1.0/24", "127.0.0.1", "2001:db8::/32", "255.0.0.0/8")
	p.ban("127.0.0.0/28")
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "the kernel drops") {
		t.Errorf("notes %q, want that the kernel helps", notes)
	}
	for _, client := range []string{"127.0.0.7", "127.0.1.9", "127.0.0.2"} {
		expect("banned", client, "nothing")
	}
	expect("not banned", "127.0.2.1", "stands")
	p.expectFrom("/health", "127.0.0.1 200")
	if got := connects(t, "127.0.0.7", p.MetricsAddr()); got != "stands" {
		t.Errorf("a banned client at a port that is no listener's: %s, want that it stands", got)
	}
	close(release)
	if r, err := busy.ReadFinalResponse("GET"); err != nil || r.Status != 200 {
		t.Errorf("the request in hand = %d, %v, want it finished", r.Status, err)
	}
	p.expectMetrics("sentinel_kernel_bans 4") // 127.0.0.7 and 127.0.0.1 lie in 127.0.0.0/28
	eventually(t, "drops are counted", func() bool {
		return regexp.MustCompile(`(?m)^sentinel_kernel_dropped_total [3-9]`).MatchString(p.Metrics())
	})

	p.unban("127.0.0.0/28")
	expect("a wider ban lifted", "127.0.0.2", "stands")
	expect("a wider ban lifted", "127.0.0.7", "nothing")
	p.unban("127.0.0.7/32")
	expect("lifted", "127.0.0.7", "stands")
	q := admin.BanRequest{Prefixes: []string{"127.0.0.8"}, Seconds: 1, Force: true}
	if _, err := p.client().Ban(context.Background(), q); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a ban ends in the kernel", func() bool { return connects(t, "127.0.0.8", p.addr) == "stands" })
	q = admin.BanRequest{Prefixes: []string{"127.0.0.8"}, Seconds: 100, Shadow: true}
	if _, err := p.client().Ban(context.Background(), q); err != nil {
		t.Fatal(err)
	}
	expect("banned in shadow mode", "127.0.0.8", "stands")

	left := strings.Replace(tableName(t), fmt.Sprint("-", os.Getpid()), "-99999999", 1)
	nft(t, "add", "table", "inet", left)
	nft(t, "add", "table", "inet", "sentinel-of-others")
	reload("off")
	if rules := nft(t, "list", "ruleset"); strings.Contains(rules, "bans4") {
		t.Errorf("off: the table is left\n%s", rules)
	}
	p.expectFrom("/", "127.0.1.9 -1")
	reload("required")
	expect("on again", "127.0.1.9", "nothing")
	rules := nft(t, "list", "ruleset")
	if strings.Contains(rules, left) || !strings.Contains(rules, "sentinel-of-others") {
		t.Errorf("want the table of a process that is gone away, and that of others left:\n%s", rules)
	}
	nft(t, "flush", "ruleset")
	eventually(t, "a table that somebody took away is back", func() bool { return connects(t, "127.0.1.9", p.addr) == "nothing" })

	p.Stop()
	if rules := nft(t, "list", "ruleset"); strings.Contains(rules, "bans4") {
		t.Errorf("the process has ended and left\n%s", rules)
	}
}

func tableName(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`table inet (\S+) \{\n\tcounter`).FindStringSubmatch(nft(t, "list", "ruleset"))
	if m == nil {
		t.Fatalf("no table of ours:\n%s", nft(t, "list", "ruleset"))
	}
	return m[1]
}

// Without the capability bans hold in the process, and whoever requires more is refused.
func TestKernelBansWithoutCapability(t *testing.T) {
	if !inNamespace(t, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin") {
		return
	}
	o := origin.Start(t, origin.OK(2))
	text := func(mode string) string {
		return `listeners { listener "l" { address "127.0.0.1:0" } }` + "\n" + fmt.Sprintf(kernelBans, mode) + forward(o, "", "")
	}
	p := start(t, "", fmt.Sprintf(kernelBans, "on")+forward(o, "", ""))
	p.ban("127.0.0.7")
	p.expectFrom("/", "127.0.0.7 -1", "127.0.0.9 200")
	p.expectMetrics("sentinel_kernel_bans 0")
	got := p.Reload(text("required"))
	if detail := strings.Join(got.Details, "\n"); got.OK || !strings.Contains(detail, `kernel-bans "required" can't be met: the process lacks CAP_NET_ADMIN`) || !strings.Contains(detail, "config.kdl:2:") {
		t.Errorf("a reload that requires it = %+v, want a refusal with its place", got)
	}
	p.expectFrom("/", "127.0.0.9 200")
	if log := p.Logs(); strings.Count(log, "bans are not in the kernel") != 1 {
		t.Errorf("the log doesn't tell once:\n%s", log)
	}
}
