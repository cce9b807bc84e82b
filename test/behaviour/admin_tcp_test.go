package behaviour

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/testkit/pki"
)

// network is a proxy with an admin API for other machines.
type network struct {
	*proxy
	servers, clients *pki.Authority
	dir              string
}

func (n *network) text(words string) string {
	return adminSystem(fmt.Sprintf("%s; tcp { address \"127.0.0.1:0\"; tls { cert-file %q; key-file %q; client-ca-file %q } }", words,
		filepath.Join(n.dir, "server.crt"), filepath.Join(n.dir, "server.key"), filepath.Join(n.dir, "clients.crt"))) +
		networkRest
}

const networkRest = "listeners { listener \"l\" { address \"127.0.0.1:0\" } }\nroutes { route \"r\" { respond 200 } }"

func (n *network) serve(t *testing.T, host string) {
	n.servers.Issue(t, pki.Server(host)).Write(t, n.dir, "server")
}

const networkRoles = `role "read" { client-subject "CN=reader" }; role "operate" { client-san "Ops.example.com" }; role "admin" { client-subject "CN=chief" }`

func startNetwork(t *testing.T) *network {
	n := &network{servers: pki.New(t, "servers"), clients: pki.New(t, "clients"), dir: t.TempDir()}
	n.clients.Write(t, n.dir, "clients")
	n.servers.Write(t, n.dir, "servers")
	n.serve(t, "127.0.0.1")
	n.proxy = startText(t, n.text(networkRoles))
	return n
}

// as returns a client with a certificate; nil is none.
func (n *network) as(leaf *pki.Leaf) *http.Client {
	c := &tls.Config{RootCAs: n.servers.Pool()}
	if leaf != nil {
		c.Certificates = []tls.Certificate{leaf.TLS()}
	}
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: c}, Timeout: patience}
	n.t.Cleanup(h.CloseIdleConnections)
	return h
}

// TestAdminTCP asks from the network with all kinds of certificates.
func TestAdminTCP(t *testing.T) {
	n := startNetwork(t)
	base := "https://" + n.Status().Admin
	ops := pki.Client("somebody")
	ops.Hosts = []string{"ops.example.com"}
	reader, operator, chief := n.as(n.clients.Issue(t, pki.Client("reader"))), n.as(n.clients.Issue(t, ops)), n.as(n.clients.Issue(t, pki.Client("chief")))
	for _, c := range []struct {
		who          string
		client       *http.Client
		method, path string
		status       int
		words        string
	}{
		{"reader", reader, "GET", "/admin/status", 200, `"generation":1`},
		{"reader", reader, "GET", "/admin/whoami", 200, `"subject":"CN=reader","from":"127.0.0.1:`},
		{"reader", reader, "POST", "/admin/reload", 403, `role \"admin\" { client-subject \"CN=reader\" }`},
		{"operator", operator, "POST", "/admin/unban", 200, `"bans":[]`},
		{"operator", operator, "POST", "/admin/reload", 403, "has the role operate only"},
		{"chief", chief, "POST", "/admin/reload", 200, `"generation":2`},
		{"unknown", n.as(n.clients.Issue(t, pki.Client("unknown"))), "GET", "/admin/status", 403, "has no role"},
		{"server", n.as(n.clients.Issue(t, pki.Server("chief"))), "GET", "/admin/status", 0, "bad certificate"},
		{"nobody", n.as(nil), "GET", "/admin/status", 0, "certificate required"},
		{"foreigner", n.as(pki.New(t, "clients").Issue(t, pki.Client("chief"))), "GET", "/admin/status", 0, "unknown certificate authority"},
	} {
		body := ""
		if strings.HasSuffix(c.path, "ban") {
			body = `{"all":true}`
		}
		status, text := fetch(c.client, c.method, base+c.path, body)
		if status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%s %s by %s = %d %s, want %d %s", c.method, c.path, c.who, status, text, c.status, c.words)
		}
	}
	want(t, "the audit", n.sentinel("audit"), "CN=chief", "admin", "127.0.0.1:", "POST /admin/reload")
	want(t, "the events", n.sentinel("events", "--kind", "reload"), `certificate \x22CN=chief\x22 from 127.0.0.1:`)
	// What a reload takes is gone on open connections, too.
	if o := n.Reload(n.text(`role "read" { client-subject "CN=chief" }`)); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	if status, text := fetch(chief, "POST", base+"/admin/reload", ""); status != 403 {
		t.Errorf("a reload by who may not any more = %d %s, want 403", status, text)
	}
	pki.WriteFile(t, filepath.Join(n.dir, "clients.crt"), pki.New(t, "others").PEM())
	if o := n.Reload(n.text(networkRoles)); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	if status, text := fetch(chief, "GET", base+"/admin/status", ""); status != 403 || !strings.Contains(text, "unknown authority") {
		t.Errorf("status by who isn't believed any more = %d %s, want 403", status, text)
	}
	if o := n.Reload(adminSystem("") + networkRest); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	eventually(t, "the listener is closed", func() bool {
		status, _ := fetch(n.as(nil), "GET", base, "")
		return status == 0 && n.Status().Admin == ""
	})
}

// TestAdminPages sends what pages have browsers send.
func TestAdminPages(t *testing.T) {
	n := startNetwork(t)
	chief, base := n.as(n.clients.Issue(t, pki.Client("chief"))), "https://"+n.Status().Admin
	for _, c := range []struct {
		field  string
		status int
	}{
		{"Accept: */*", 200},
		{"Sec-Fetch-Site: none", 200},
		{"Sec-Fetch-Site: same-origin", 403},
		{"Sec-Fetch-Site: cross-site", 403},
		{"Origin: https://evil.example", 403},
		{"Origin: null", 403},
		{"Origin: " + base, 403},
		{"Host: evil.example", 421},
		{"Host: localhost", 421},
	} {
		for _, path := range []string{"/admin/status", "/admin/nothing"} {
			want := c.status
			if want == 200 && path != "/admin/status" {
				want = 404
			}
			if status, text := fetch(chief, "GET", base+path, "", c.field); status != want {
				t.Errorf("GET %s with %s = %d %s, want %d", path, c.field, status, text, want)
			}
		}
	}
	// At the socket likewise; only who has connected it to a port can come there.
	c := n.httpAs(account{uid: os.Geteuid()})
	for field, status := range map[string]int{
		"Host: sentinel": 200, "Host: localhost": 200, "Host: localhost:8000": 421, "Host: evil.example": 421, "Origin: http://sentinel": 403, "Sec-Fetch-Site: same-site": 403,
	} {
		if got, text := fetch(c, "GET", "http://sentinel/admin/status", "", field); got != status {
			t.Errorf("at the socket with %s = %d %s, want %d", field, got, text, status)
		}
	}
}

// TestAdminFlags uses the command line from another machine.
func TestAdminFlags(t *testing.T) {
	n := startNetwork(t)
	base := "https://" + n.Status().Admin
	cert, key := n.clients.Issue(t, pki.Client("chief")).Write(t, n.dir, "chief")
	run := func(env []string, args ...string) (string, error) {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(append(os.Environ(), commandVariable+"=1"), env...)
		var all bytes.Buffer
		cmd.Stdout, cmd.Stderr = &all, &all
		err := cmd.Run()
		return all.String(), err
	}
	flags := []string{"--admin", base, "--admin-cert", cert, "--admin-key", key, "--admin-ca", filepath.Join(n.dir, "servers.crt")}
	env := []string{"SENTINEL_ADMIN=" + base, "SENTINEL_ADMIN_CERT=" + cert, "SENTINEL_ADMIN_KEY=" + key, "SENTINEL_ADMIN_CA=" + filepath.Join(n.dir, "servers.crt")}
	for _, c := range []struct {
		env   []string
		args  []string
		words string
		ok    bool
	}{
		{nil, append([]string{"status"}, flags...), "serving", true},
		{env, []string{"ban", "192.0.2.7"}, "192.0.2.7/32 is banned", true},
		{nil, append([]string{"unban", "192.0.2.7"}, flags...), "192.0.2.7", true},
		{env, []string{"audit"}, "CN=chief", true},
		{nil, []string{"status", "--admin", base}, "--admin-cert", false},
		{nil, append([]string{"status"}, flags[:6]...), "certificate signed by unknown authority", false},
		{nil, append([]string{"status", "--admin-socket", "x"}, flags...), "keep one of them", false},
		{nil, []string{"status", "--admin", "http://127.0.0.1:1"}, "write https://HOST:PORT", false},
		{env, []string{"status", "--admin-socket", n.AdminSocket()}, "serving", true},
	} {
		out, err := run(c.env, c.args...)
		if (err == nil) != c.ok || !strings.Contains(out, c.words) {
			t.Errorf("sentinel %q says %s, %v, want %q", c.args, out, err, c.words)
		}
	}
}

// What is missing or broken refuses the configuration.
func TestAdminFailsClosed(t *testing.T) {
	n := startNetwork(t)
	good := n.text(networkRoles)
	for _, c := range []struct{ old, new, want string }{
		{"clients.crt", "nowhere.pem", "nowhere.pem"},
		{"server.key", "clients.crt", "key"},
		{"server.crt", "server.key", "server.key"},
	} {
		o := n.Reload(strings.Replace(good, c.old, c.new, 1))
		if o.OK || !strings.Contains(strings.Join(o.Details, "\n"), c.want) || !strings.Contains(strings.Join(o.Details, "\n"), "config.kdl:") {
			t.Errorf("%s in place of %s: reload = %+v, want it refused with a place and %q", c.new, c.old, o, c.want)
		}
	}
	if o := n.Reload(strings.Replace(good, `client-subject "CN=reader"`, `user "nobody-by-this-name"; client-subject "CN=reader"`, 1)); !o.OK || !strings.Contains(strings.Join(o.Notes, "\n"), "there is no user") {
		t.Errorf("reload with an unknown user = %+v, want a note", o)
	}
	n.serve(t, "admin.example.com")
	if o := n.Reload(good); !o.OK {
		t.Fatalf("reload = %+v", o)
	}
	chief := n.as(n.clients.Issue(t, pki.Client("chief")))
	chief.Transport.(*http.Transport).TLSClientConfig.ServerName = "admin.example.com"
	if status, text := fetch(chief, "GET", "https://"+n.Status().Admin+"/admin/status", "", "Host: admin.example.com:1"); status != 200 {
		t.Errorf("with the new certificate = %d %s, want 200", status, text)
	}
}
