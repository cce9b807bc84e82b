package lifecycle

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sentinel/internal/config/kdl"
	"sentinel/internal/config/keypair"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/listen"
)

// adminSettings are who may ask the process what, and where.
type adminSettings struct {
	access     admin.Access
	socketMode fs.FileMode // 0: as it was opened
	socketGID  int         // negative: that of the process
	auditFile  string      // "": none, in tests
	address    string      // for other machines; "" is none
	at         string      // where that stands in the configuration
	cert       *tls.Certificate
}

// adminReader makes adminSettings of a configuration.
type adminReader struct {
	adminSettings
	diags kdl.Diagnostics
}

// readAdmin returns what a configuration says about the admin API. Files that can't be used
// are errors. A user or group that there isn't is a warning: it lets nobody in, and somebody
// who has left must not keep a proxy from starting.
func readAdmin(c *schema.Config) (adminSettings, kdl.Diagnostics) {
	a := &c.System.Admin
	r := &adminReader{adminSettings: adminSettings{socketMode: fs.FileMode(a.Mode()), socketGID: -1}}
	r.auditFile = a.AuditFile.V
	if r.auditFile == "" {
		r.auditFile = filepath.Join(c.System.StateDir.V, "audit.log")
	}
	r.access = admin.Access{
		Users: make(map[uint32]admin.Role), Groups: make(map[uint32]admin.Role),
		Subjects: make(map[string]admin.Role), SANs: make(map[string]admin.Role),
	}
	for _, role := range a.Roles {
		r.role(role)
	}
	if a.SocketGroup.IsSet() {
		r.socketGroup(a.SocketGroup)
	}
	if a.TCP != nil {
		r.tcp(a.TCP)
	}
	return r.adminSettings, r.diags
}

func (r *adminReader) errorAt(at schema.Origin, hint, format string, args ...any) {
	r.diags = append(r.diags, kdl.Errorf(at.File, at.Span, format, args...).WithHint("%s", hint))
}

func (r *adminReader) warnAt(at schema.Origin, format string, args ...any) {
	r.diags = append(r.diags, kdl.Warningf(at.File, at.Span, format, args...))
}

func (r *adminReader) role(role *schema.AdminRole) {
	has := admin.RoleNamed(role.Name.V)
	for _, v := range role.Users {
		if id, ok := accountNumber(v.V, userNumber); ok {
			r.access.Users[id] = max(has, r.access.Users[id])
		} else {
			r.warnAt(v.From, "there is no user %q on this machine: nobody gets the role %s by it", v.V, role.Name.V)
		}
	}
	for _, v := range role.Groups {
		if id, ok := accountNumber(v.V, groupNumber); ok {
			r.access.Groups[id] = max(has, r.access.Groups[id])
		} else {
			r.warnAt(v.From, "there is no group %q on this machine: nobody gets the role %s by it", v.V, role.Name.V)
		}
	}
	for _, v := range role.Subjects {
		r.access.Subjects[v.V] = max(has, r.access.Subjects[v.V])
	}
	for _, v := range role.SANs {
		name := v.V
		if !strings.ContainsAny(name, "@:") { // a DNS name
			name = strings.ToLower(name)
		}
		r.access.SANs[name] = max(has, r.access.SANs[name])
	}
}

// accountNumber returns the number of a user or group; a number stands for itself.
func accountNumber(name string, look func(string) (string, error)) (uint32, bool) {
	text := name
	if _, err := strconv.ParseUint(name, 10, 32); err != nil {
		if text, err = look(name); err != nil {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}

func userNumber(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func groupNumber(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

// socketGroup finds out whether the process may give the socket a group.
func (r *adminReader) socketGroup(v schema.Value[string]) {
	gid, ok := accountNumber(v.V, groupNumber)
	if !ok {
		r.errorAt(v.From, "make it by groupadd, or name another", "there is no group %q on this machine", v.V)
		return
	}
	groups, _ := os.Getgroups() // none: not allowed
	if os.Geteuid() != 0 && os.Getegid() != int(gid) && !slices.Contains(groups, int(gid)) {
		r.warnAt(v.From, "socket-group %q isn't a group of the user that reads this; the process that serves must be in it", v.V)
	}
	r.socketGID = int(gid)
}

// tcp reads the certificates of both sides.
func (r *adminReader) tcp(t *schema.AdminTCP) {
	r.address, r.at = t.Address.V, placeOf(t.Address.From)
	pair, p := keypair.Load(t.TLS.CertFile.V, t.TLS.KeyFile.V)
	if p != nil {
		at := t.TLS.CertFile.From
		if p.File == t.TLS.KeyFile.V && p.File != t.TLS.CertFile.V {
			at = t.TLS.KeyFile.From
		}
		r.errorAt(at, p.Hint, "%s: %s", p.File, p.Message)
	} else {
		r.cert = pair.Certificate
	}
	authorities, p := keypair.LoadAuthorities(t.TLS.ClientCAFile.V)
	if p != nil {
		r.errorAt(t.TLS.ClientCAFile.From, p.Hint, "%s: %s", p.File, p.Message)
		return
	}
	r.access.Clients = x509.NewCertPool()
	for _, c := range authorities {
		r.access.Clients.AddCert(c)
	}
}

// openAdminPlane makes the parts that outlive reloads.
func (p *Process) openAdminPlane() {
	p.audit = admin.NewAudit(p.record)
	p.gate = admin.NewGate(p.audit)
	p.adminTCP.open = func(address string) (net.Listener, error) {
		if ln := p.opt.Inherited.Take(adminTCPSocket, address); ln != nil {
			return ln, nil
		}
		ln, err := net.Listen("tcp", address)
		if err != nil {
			return nil, &listen.BindError{Listener: "admin", At: p.adminAt, Address: address, Err: err}
		}
		return ln, nil
	}
	p.adminTCP.serve = p.newAdmin
}

// prepareAdmin opens what the admin API needs. The steps of g that come of it end with who may
// ask what.
func (p *Process) prepareAdmin(g *generation) error {
	s := &g.loaded.Settings
	socket, abort, err := p.admin.prepare(s.AdminSocket)
	if err != nil {
		return err
	}
	g.undo = append(g.undo, abort)
	p.adminAt = s.Admin.at
	network, abort, err := p.adminTCP.prepare(s.Admin.address)
	if err != nil {
		return err
	}
	g.undo = append(g.undo, abort)
	audit := func() {}
	if s.Admin.auditFile != "" {
		if audit, abort, err = p.audit.Prepare(s.Admin.auditFile); err != nil {
			return err
		}
		g.undo = append(g.undo, abort)
	}
	g.sides = append(g.sides, audit, func() { p.gate.Set(&s.Admin.access, s.Admin.cert) },
		socket, network, func() { p.keepAdminFile(false) }, func() { p.openSocket(s) })
	return nil
}

// openSocket lets others come to the admin socket, now that it is known who may ask what.
func (p *Process) openSocket(s *Settings) {
	mode := s.Admin.socketMode
	if mode == 0 {
		return
	}
	if err := admin.Open(s.AdminSocket, mode, s.Admin.socketGID); err != nil {
		p.log.Warn("the admin socket keeps its mode and group", "detail", err.Error())
	}
	if why := admin.Reachable(s.AdminSocket, mode); why != "" {
		p.log.Warn("users in a role can't come to the admin socket", "detail", why)
	}
}

// auditUnasked records a reload that nobody has asked for at the admin API. Who sends a signal
// isn't told.
func (p *Process) auditUnasked(o *admin.Outcome) {
	r := admin.AuditRecord{Actor: admin.Actor{UID: -1, Via: "sentinel itself"}, Action: "reload: " + o.Cause, Status: 200, OK: o.OK}
	if o.Cause == "SIGHUP" {
		r.Actor.Via = "signal"
	}
	if !o.OK {
		r.Status, r.Result = 422, o.Error+": "+strings.Join(o.Details, "; ")
	}
	p.audit.Write(r)
}
