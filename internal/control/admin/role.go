package admin

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Role is what somebody may ask; each holds those before it.
type Role uint8

// The roles. RoleNone is that of strangers.
const (
	RoleNone    Role = iota
	RoleRead         // asks and changes nothing
	RoleOperate      // makes changes that expire or are undone by a command
	RoleAdmin        // changes the configuration and the process
)

var roleNames = [...]string{"none", "read", "operate", "admin"}

// String returns the name that the configuration has for the role.
func (r Role) String() string { return roleNames[r] }

// RoleNamed returns the role of that name, RoleNone where there is none.
func RoleNamed(name string) Role { return Role(max(slices.Index(roleNames[:], name), 0)) }

// Access says who has which role. It is immutable once a server has it. The zero value knows
// root and the user of the process only.
type Access struct {
	Users    map[uint32]Role // by number
	Groups   map[uint32]Role
	Subjects map[string]Role // of client certificates, as pkix.Name.String writes them
	SANs     map[string]Role // DNS names in lower case, addresses of mail, URIs
	// Clients are the authorities that client certificates are believed by; nil where there
	// is no listener for them.
	Clients *x509.CertPool
}

// ofPeer returns the role of a process of this machine.
func (a *Access) ofPeer(uid uint32, groups []uint32) Role {
	if uid == 0 || int(uid) == os.Geteuid() {
		return RoleAdmin
	}
	role := a.Users[uid]
	for _, g := range groups {
		role = max(role, a.Groups[g])
	}
	return role
}

// ofCertificate returns the role of who has shown a certificate, which is believed already.
func (a *Access) ofCertificate(c *x509.Certificate) Role {
	role := a.Subjects[c.Subject.String()]
	for _, name := range sansOf(c) {
		role = max(role, a.SANs[name])
	}
	return role
}

// sansOf returns the alternative names of a certificate by which it can have a role.
func sansOf(c *x509.Certificate) []string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, strings.ToLower(n))
	}
	names = append(names, c.EmailAddresses...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}

// actorKey is the key of who asks in the context of a request.
type actorKey struct{}

// WithActor returns a context in which a asks, for requests that come by no connection.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns who asks, in the context of a request or of what it calls; the zero Actor
// and false where nobody does.
func ActorOf(ctx context.Context) (Actor, bool) {
	a, ok := ctx.Value(actorKey{}).(Actor)
	return a, ok
}

// wants answers with h those who have a role, and refuses others. Changes and refused ones
// are recorded.
func (s *Server) wants(role Role, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		by, ok := ActorOf(r.Context())
		if !ok {
			refuse(w, &Problem{Status: http.StatusForbidden, Message: "who asks isn't known"})
			return
		}
		if RoleNamed(by.Role) < role {
			p := lacking(by, role)
			s.recordRefusal(r, by, p)
			refuse(w, p)
			return
		}
		if role == RoleRead {
			h(w, r)
			return
		}
		if s.gate.held.Load() {
			refuse(w, &Problem{Status: http.StatusServiceUnavailable, Message: "an upgrade is under way, and what is changed now might be lost: ask again in a few seconds"})
			return
		}
		s.recorded(w, r, by, h)
	}
}

// lacking says which role is needed and how it is granted.
func lacking(by Actor, role Role) *Problem {
	has := "no role"
	if RoleNamed(by.Role) > RoleNone {
		has = "the role " + by.Role + " only"
	}
	return &Problem{
		Status: http.StatusForbidden,
		Message: fmt.Sprintf("this needs the role %s, and %s has %s: add `admin { role %q { %s } }` to the block system of the configuration and reload",
			role, by, has, role.String(), by.grant()),
	}
}

// grant returns the key of a role that names the actor.
func (a Actor) grant() string {
	switch {
	case a.Subject != "":
		return "client-subject " + strconv.Quote(a.Subject)
	case a.User != "":
		return "user " + strconv.Quote(a.User)
	}
	return "user " + strconv.Quote(strconv.Itoa(a.UID))
}
