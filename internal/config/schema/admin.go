package schema

import (
	"path/filepath"
	"strconv"
	"strings"
)

// Admin says who may ask the running process what, and where.
type Admin struct {
	Block
	SocketMode  Value[string] // octal; unset: 0600, or 0666 where roles name users or groups
	SocketGroup Value[string] // name or number; unset: that of the process
	AuditFile   Value[string] // unset: audit.log in the state folder
	Roles       []*AdminRole
	TCP         *AdminTCP // nil when not written
}

// AdminRole says who has a role. A name that stands in several has the highest.
type AdminRole struct {
	Block
	Name     Value[string]   // "read", "operate" or "admin"
	Users    []Value[string] // names or numbers
	Groups   []Value[string]
	Subjects []Value[string] // of client certificates, as RFC 2253 writes them
	SANs     []Value[string] // likewise: DNS names, addresses of mail, URIs
}

// AdminTCP is the admin API for other machines.
type AdminTCP struct {
	Block
	Address Value[string]
	TLS     AdminTLS
}

// AdminTLS is what the admin API shows, and whom it believes.
type AdminTLS struct {
	Block
	CertFile     Value[string]
	KeyFile      Value[string]
	ClientCAFile Value[string]
}

func adminBlocks() []blockDef {
	return []blockDef{adminBlock(), adminRoleBlock(), adminTCPBlock(), adminTLSBlock()}
}

func adminBlock() blockDef {
	return blockDef{
		name: "admin",
		doc: "Who may ask the running process what. Root and the user that it runs as have the role `admin` at the socket, nobody else has any " +
			"unless a `role` says so. See [admin.md](../admin.md).",
		keys: []Key{
			{
				Name: "socket-mode", Kind: Text, check: checkSocketMode,
				Doc:  "mode of the admin socket, octal; without it, \"0600\", or \"0666\" where a role names users or groups: the kernel says who connects, and strangers are refused",
				slot: value(func(a *Admin) any { return &a.SocketMode }),
			},
			{
				Name: "socket-group", Kind: Text, check: checkAccount, Doc: "group of the admin socket, which the process must be in; without it, its own",
				slot: value(func(a *Admin) any { return &a.SocketGroup }),
			},
			{
				Name: "audit-file", Kind: Text, check: checkFile,
				Doc:  "file that gets one line of JSON for every change that is asked for, opened anew at SIGUSR1; without it, `audit.log` in `state-dir`",
				slot: value(func(a *Admin) any { return &a.AuditFile }),
			},
			{
				Name: "role", Kind: Opens, Opens: "role", Many: true, Doc: "who else may ask what",
				slot: several(func(a *Admin) *[]*AdminRole { return &a.Roles }),
			},
			{
				Name: "tcp", Kind: Opens, Opens: "admin tcp", Doc: "the admin API for other machines, with certificates on both sides",
				slot: optional(func(a *Admin) **AdminTCP { return &a.TCP }),
			},
		},
		finish: finishAdmin,
	}
}

func adminRoleBlock() blockDef {
	return blockDef{
		name: "role",
		doc: "`role \"operate\" { user \"alice\"; group \"oncall\" }`: `read` asks and changes nothing, `operate` makes changes that expire or are undone by a command, " +
			"such as drains and bans, `admin` all. Who stands in several has the highest.",
		args: []string{"name"},
		keys: []Key{
			{
				Name: "name", Kind: Enum, Words: []string{"read", "operate", "admin"}, Required: true, ArgOnly: true, Doc: "`read`, `operate` or `admin`",
				slot: value(func(r *AdminRole) any { return &r.Name }),
			},
			{
				Name: "user", Kind: Texts, Many: true, check: checkAccount, Doc: "users of this machine, by name or number, at the socket",
				slot: value(func(r *AdminRole) any { return &r.Users }),
			},
			{
				Name: "group", Kind: Texts, Many: true, check: checkAccount, Doc: "groups of this machine; the kernel says which groups the asking process is in",
				slot: value(func(r *AdminRole) any { return &r.Groups }),
			},
			{
				Name: "client-subject", Kind: Texts, Many: true, Doc: "subjects of client certificates at `tcp`, such as \"CN=alice,O=Example\" (RFC 2253)",
				slot: value(func(r *AdminRole) any { return &r.Subjects }),
			},
			{
				Name: "client-san", Kind: Texts, Many: true, Doc: "alternative names of client certificates at `tcp`: a DNS name, an address of mail or a URI",
				slot: value(func(r *AdminRole) any { return &r.SANs }),
			},
		},
		finish: func(d *decoder, b any) {
			if r := b.(*AdminRole); !d.tried(r, "user", "group", "client-subject", "client-san") {
				d.errorAt(r.From, "role %q is nobody's", r.Name.V).hint(`add who has it, such as group "oncall", or remove it`)
			}
		},
	}
}

func adminTCPBlock() blockDef {
	return blockDef{
		name: "admin tcp",
		doc:  "The admin API for other machines. A client without a certificate of `client-ca-file` gets no connection; what it may do, `role` says by its subject or alternative names.",
		keys: []Key{
			{
				Name: "address", Kind: Address, Required: true, check: checkListen, Doc: "address and port; port 0 takes a free one",
				slot: value(func(t *AdminTCP) any { return &t.Address }),
			},
			{
				Name: "tls", Kind: Opens, Opens: "admin tls", Required: true, Doc: "the certificates of both sides",
				slot: value(func(t *AdminTCP) any { return &t.TLS }),
			},
		},
	}
}

func adminTLSBlock() blockDef {
	return blockDef{
		name: "admin tls",
		doc:  "The certificates of both sides, read again at each reload. TLS 1.3 only.",
		keys: []Key{
			{
				Name: "cert-file", Kind: Text, Required: true, check: checkFile, Doc: "certificate and the chain behind it, PEM; requests must ask for one of its names",
				slot: value(func(t *AdminTLS) any { return &t.CertFile }),
			},
			{
				Name: "key-file", Kind: Text, Required: true, check: checkFile, Doc: "private key of the certificate, PEM",
				slot: value(func(t *AdminTLS) any { return &t.KeyFile }),
			},
			{
				Name: "client-ca-file", Kind: Text, Required: true, check: checkFile, Doc: "authorities that client certificates are believed by, PEM",
				slot: value(func(t *AdminTLS) any { return &t.ClientCAFile }),
			},
		},
	}
}

// finishAdmin reports roles that nobody can have, and a listener that nobody can use.
func finishAdmin(d *decoder, b any) {
	a := b.(*Admin)
	certificates := false
	for _, r := range a.Roles {
		for _, v := range append(r.Subjects, r.SANs...) {
			certificates = true
			if a.TCP == nil {
				d.errorAt(v.From, "client certificates are shown at tcp only, and there is none").
					hint("add tcp { address ...; tls { ... } }, or remove this")
			}
		}
	}
	if a.TCP != nil && !certificates {
		d.errorAt(a.TCP.From, "nobody may ask anything at tcp").hint(`add role "admin" { client-subject "CN=..." }, or remove tcp`)
	}
	if a.TCP != nil {
		for _, path := range []*Value[string]{&a.TCP.TLS.CertFile, &a.TCP.TLS.KeyFile, &a.TCP.TLS.ClientCAFile} {
			if path.IsSet() && !filepath.IsAbs(path.V) {
				path.V = filepath.Join(filepath.Dir(path.From.File), path.V)
			}
		}
	}
}

// Mode returns the mode of the admin socket.
func (a *Admin) Mode() uint32 {
	if a.SocketMode.IsSet() {
		mode, _ := strconv.ParseUint(a.SocketMode.V, 8, 32) // checked
		return uint32(mode)
	}
	for _, r := range a.Roles {
		if len(r.Users)+len(r.Groups) > 0 {
			return 0o666
		}
	}
	return 0o600
}

func checkSocketMode(s string) (problem, hint string) {
	const want = `write "0600", "0660" or "0666"`
	mode, err := strconv.ParseUint(s, 8, 32)
	switch {
	case err != nil || mode > 0o777:
		return "is no mode of a file", want
	case mode&0o600 != 0o600 || mode&0o111 != 0:
		return "is no mode for a socket", want
	}
	return "", ""
}

func checkAccount(s string) (problem, hint string) {
	if s == "" || len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == ':' || r == 127 }) {
		return "is no name of a user or group", "write a name or a number of this machine"
	}
	return "", ""
}
