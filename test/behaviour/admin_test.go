package behaviour

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"sentinel/internal/control/admin"
	"sentinel/internal/testkit/pki"

	"golang.org/x/sys/unix"
)

// account is a user of this machine, by number, with groups.
type account struct {
	uid    int
	groups []int
}

// dialAs connects to a socket as another user: the thread that connects becomes that user and
// ends afterwards.
func dialAs(who account, path string) (net.Conn, error) {
	type result struct {
		c   net.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // for ever: the thread is nobody else's any more
		var r result
		r.err = become(who)
		if r.err == nil {
			r.c, r.err = net.Dial("unix", path)
		}
		done <- r
	}()
	r := <-done
	return r.c, r.err
}

// become changes who this thread is; package syscall would change all threads.
func become(who account) error {
	list := make([]uint32, len(who.groups)+1)
	for i, g := range who.groups {
		list[i] = uint32(g)
	}
	for _, call := range [][4]uintptr{
		{unix.SYS_SETGROUPS, uintptr(len(who.groups)), uintptr(unsafe.Pointer(unsafe.SliceData(list)))},
		{unix.SYS_SETRESGID, uintptr(who.uid), uintptr(who.uid), uintptr(who.uid)},
		{unix.SYS_SETRESUID, uintptr(who.uid), uintptr(who.uid), uintptr(who.uid)},
	} {
		if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return errno
		}
	}
	runtime.KeepAlive(list)
	return nil
}

// asRoot skips a test that needs to become other users.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can ask as other users")
	}
}

// open lets all users come to the folder of the proxy.
func (p *proxy) open() {
	for dir := filepath.Dir(p.AdminSocket()); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
}

// httpAs returns a client that asks at the socket as another user.
func (p *proxy) httpAs(who account) *http.Client {
	dial := func(context.Context, string, string) (net.Conn, error) { return dialAs(who, p.AdminSocket()) }
	c := &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: patience}
	p.t.Cleanup(c.CloseIdleConnections)
	return c
}

// fetch sends a request and returns the status and text of the answer; 0 and the error where
// there is none.
func fetch(c *http.Client, method, url, body string, fields ...string) (int, string) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// adminSystem is the block system with a block admin.
func adminSystem(words string) string { return "system { $FILES; admin { " + words + " } }\n" }

const drainU = `{"upstream":"u","reason":"test"}`

// TestAdminRoles asks as users of this machine in each role.
func TestAdminRoles(t *testing.T) {
	asRoot(t)
	m := newMember(t, "a")
	text := func(roles string) string {
		return adminSystem(roles) + `listeners { listener "l" { address "127.0.0.1:0" } }` + "\n" + group("", "", m)
	}
	p := startText(t, text(`role "read" { user "12001" "12004" }; role "operate" { group "12002" }; role "admin" { user "12003" }`))
	p.open()
	clients := map[string]*http.Client{
		"reader": p.httpAs(account{uid: 12001}), "operator": p.httpAs(account{12009, []int{12005, 12002}}),
		"both": p.httpAs(account{12004, []int{12002}}), "admin": p.httpAs(account{uid: 12003}), "stranger": p.httpAs(account{uid: 12010}),
		"root": p.httpAs(account{uid: 0}),
	}
	ask := func(who, method, path string, status int, words ...string) {
		t.Helper()
		body := ""
		if path == "/admin/drain" {
			body = drainU
		}
		got, text := fetch(clients[who], method, "http://sentinel"+path, body)
		if got != status {
			t.Errorf("%s %s by the %s = %d %s, want %d", method, path, who, got, text, status)
		}
		want(t, who+" asking for "+path, text, words...)
	}
	ask("reader", "GET", "/admin/status", 200, `"generation":1`)
	ask("reader", "GET", "/admin/whoami", 200, `"uid":12001`, `"role":"read"`)
	ask("reader", "POST", "/admin/drain", 403, "needs the role operate", "has the role read only", `role \"operate\" { user \"12001\" }`)
	ask("operator", "POST", "/admin/drain", 200, `"drained":true`, `"uid":12009`, `"role":"operate"`)
	ask("operator", "POST", "/admin/reload", 403, "needs the role admin")
	ask("both", "POST", "/admin/drain", 200, `"changed":false`)
	ask("admin", "POST", "/admin/reload", 200, `"generation":2`)
	ask("stranger", "GET", "/admin/status", 403, "no role", `role \"read\" { user \"12010\" }`)
	ask("stranger", "GET", "/admin/audit", 403)
	ask("stranger", "GET", "/admin/nothing", 404)
	ask("root", "POST", "/admin/reload", 200)
	// Connections that are open lose what a reload takes.
	if o := p.Reload(text(`socket-mode "0666"; role "read" { user "12003" }`)); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	ask("admin", "POST", "/admin/reload", 403, "has the role read only")
	ask("reader", "GET", "/admin/status", 403)
	// Nobody else comes to a socket without roles.
	if o := p.Reload(text("")); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	if _, err := dialAs(account{uid: 12003}, p.AdminSocket()); !strings.Contains(fmt.Sprint(err), "permission denied") {
		t.Errorf("a stranger connects: %v, want permission denied", err)
	}
}

// TestAdminSocketModes gives the socket its mode and group.
func TestAdminSocketModes(t *testing.T) {
	gid := os.Getegid()
	if os.Geteuid() == 0 {
		gid = 12002
	}
	const rest = "listeners { listener \"l\" { address \"127.0.0.1:0\" } }\nroutes { route \"r\" { respond 200 } }"
	p := startText(t, adminSystem("")+rest)
	for _, c := range []struct {
		words string
		mode  fs.FileMode
		group int
	}{
		{"", 0o600, os.Getegid()},
		{`role "read" { user "12001" }`, 0o666, os.Getegid()},
		{`role "read" { group "12001" }; socket-mode "0660"`, 0o660, os.Getegid()},
		{fmt.Sprintf(`socket-mode "0660"; socket-group "%d"`, gid), 0o660, gid},
		{`role "read" { client-san "a" }; tcp { address "127.0.0.1:0"; tls { ` + adminFiles(t, "localhost") + ` } }`, 0o600, gid},
	} {
		if o := p.Reload(adminSystem(c.words) + rest); !o.OK {
			t.Fatalf("%s: reload = %+v", c.words, o)
		}
		info, err := os.Stat(p.AdminSocket())
		if err != nil || info.Mode().Perm() != c.mode || int(info.Sys().(*syscall.Stat_t).Gid) != c.group {
			t.Errorf("%s: the socket has %v and group %d, %v, want %v and %d", c.words, info.Mode(), info.Sys().(*syscall.Stat_t).Gid, err, c.mode, c.group)
		}
	}
}

// adminFiles makes certificates and returns the keys that name them.
func adminFiles(t *testing.T, host string) string {
	t.Helper()
	ca := pki.New(t, "clients")
	dir := t.TempDir()
	cert, key := ca.Issue(t, pki.Server(host)).Write(t, dir, "server")
	return fmt.Sprintf("cert-file %q; key-file %q; client-ca-file %q", cert, key, ca.Write(t, dir, "ca"))
}

// TestAdminAudit looks at what is written of changes that were made and of those that weren't.
func TestAdminAudit(t *testing.T) {
	m := newMember(t, "a")
	p := startText(t, adminSystem(`audit-file "$DIR/logs/audit.jsonl"`)+`listeners { listener "l" { address "127.0.0.1:0" } }`+"\n"+group("", "", m))
	file := filepath.Join(filepath.Dir(p.AdminSocket()), "logs", "audit.jsonl")
	p.sentinel("drain", "u", "--reason", "kernel \"update\"\n")
	p.sentinel("status")
	c := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", p.AdminSocket()) }}}
	defer c.CloseIdleConnections()
	fetch(c, "POST", "http://sentinel/admin/drain", `{"upstream":"nobody"}`)
	fetch(c, "POST", "http://sentinel/admin/ban", "not\njson")
	p.Reload("nonsense {")
	var list []admin.AuditRecord
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		var r admin.AuditRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, r)
	}
	if len(list) != 4 {
		t.Fatalf("the audit file holds %s, want 4 lines", text)
	}
	for i, w := range []struct {
		action, request, result string
		status                  int
		ok                      bool
	}{
		{"POST /admin/drain", `"reason":"kernel \"update\"\n"`, "", 200, true},
		{"POST /admin/drain", `"nobody"`, `no upstream "nobody"`, 404, false},
		{"POST /admin/ban", `"not\njson..."`, "not a request that is understood", 400, false},
		{"POST /admin/reload", "", "config.kdl:1:", 422, false},
	} {
		r := list[i]
		if r.Action != w.action || r.Status != w.status || r.OK != w.ok || !strings.Contains(string(r.Request), w.request) || !strings.Contains(r.Result, w.result) {
			t.Errorf("line %d = %+v, want %+v", i, r, w)
		}
		if r.Time.IsZero() || r.Actor.UID != os.Geteuid() || r.Actor.PID == 0 || r.Actor.Role != "admin" {
			t.Errorf("line %d is by %+v at %v, want this user in the role admin", i, r.Actor, r.Time)
		}
	}
	want(t, "sentinel audit", p.sentinel("audit"), "POST /admin/drain", "done", "404 there is no upstream", `\n`)
	// A file that was rotated is opened anew at SIGUSR1.
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	eventually(t, "the audit file is opened anew", func() bool { _, err := os.Stat(file); return err == nil })
	p.sentinel("drain", "u", "--undo")
	if text, _ := os.ReadFile(file); strings.Count(string(text), "\n") != 1 {
		t.Errorf("the new audit file holds %s, want one line", text)
	}
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	eventually(t, "the reload by SIGHUP is recorded", func() bool {
		text, _ := os.ReadFile(file)
		return strings.Contains(string(text), `"via":"signal"`) && strings.Contains(string(text), "reload: SIGHUP")
	})
}

// A full disk keeps nobody from helping: the change is made, and it is told that its record is
// missing, with the record.
func TestAuditOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	m := newMember(t, "a")
	p := startText(t, adminSystem(`audit-file "/dev/full"`)+`listeners { listener "l" { address "127.0.0.1:0" } }`+"\n"+group("", "", m))
	want(t, "drain", p.sentinel("drain", "u"), "takes no new requests")
	want(t, "the events", p.sentinel("events", "--kind", "audit"), "WARN audit file not written", "no space left on device", "/admin/drain")
}

// Lines about strangers are bounded; the next line tells how many are left out.
func TestAuditOfStrangers(t *testing.T) {
	asRoot(t)
	p := startText(t, adminSystem(`role "read" { user "12001" }`)+"listeners { listener \"l\" { address \"127.0.0.1:0\" } }\nroutes { route \"r\" { respond 200 } }")
	p.open()
	c := p.httpAs(account{uid: 12010})
	for range 100 {
		if status, text := fetch(c, "POST", "http://sentinel/admin/reload", ""); status != 403 {
			t.Fatalf("a stranger is answered %d %s", status, text)
		}
	}
	list, err := p.client().Audit(t.Context(), 1000)
	if err != nil || len(list) != 60 || list[0].Actor.UID != 12010 || list[0].OK {
		t.Errorf("the audit file holds %d lines, %v, want 60 by the stranger", len(list), err)
	}
	want(t, "the events", p.sentinel("events", "--kind", "audit"), "WARN admin request refused", "uid 12010", "POST /admin/reload")
}

// Nobody but root and the process takes all connections.
func TestAdminConnectionsAreBounded(t *testing.T) {
	asRoot(t)
	p := startText(t, adminSystem(`role "read" { user "12001" }`)+"listeners { listener \"l\" { address \"127.0.0.1:0\" } }\nroutes { route \"r\" { respond 200 } }")
	p.open()
	closed := 0
	for range 40 {
		c, err := dialAs(account{uid: 12001}, p.AdminSocket())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /admin/version HTTP/1.1\r\nHost: s\r\n\r\n")
		if n, _ := c.Read(make([]byte, 12)); n == 0 {
			closed++
		}
	}
	if closed != 8 {
		t.Errorf("%d of 40 connections are closed, want 8", closed)
	}
	p.Status() // root has no bound
}
