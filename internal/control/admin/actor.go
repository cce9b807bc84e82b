package admin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Actor is who asks, by what the kernel knows of the peer or by its certificate, and not by
// what it says.
type Actor struct {
	UID   int    `json:"uid"`             // -1 for the holder of a certificate
	PID   int    `json:"pid"`             // 0 for a process that isn't seen from here
	User  string `json:"user,omitempty"`  // name of UID; empty when it has none
	Login string `json:"login,omitempty"` // who logged in, where that is another: UID is root after sudo

	Subject string `json:"subject,omitempty"` // of the client certificate (RFC 2253)
	From    string `json:"from,omitempty"`    // address, where the peer is on a network
	Via     string `json:"via,omitempty"`     // "console" for who asks by a browser, "signal" for nobody that is known
	Role    string `json:"role,omitempty"`    // that it had; see Role
}

// String returns the actor in words: `root (uid 0, login "alice"), pid 123`.
func (a Actor) String() string {
	via := ""
	if a.Via != "" {
		via = " by the " + a.Via
	}
	if a.Subject == "" && a.UID < 0 {
		return a.Via
	}
	if a.Subject != "" {
		return fmt.Sprintf("certificate %q from %s%s", a.Subject, a.From, via)
	}
	name := a.User
	if name == "" {
		name = "a user without a name"
	}
	login := ""
	if a.Login != "" {
		login = fmt.Sprintf(", login %q", a.Login)
	}
	return fmt.Sprintf("%s (uid %d%s), pid %d%s", name, a.UID, login, a.PID, via)
}

// Name returns who it is in a word: who logged in, the user, or its number.
func (a Actor) Name() string {
	switch {
	case a.Login != "":
		return a.Login
	case a.User != "":
		return a.User
	}
	return "uid " + strconv.Itoa(a.UID)
}

// Self returns who runs this process.
func Self() Actor {
	uid := strconv.Itoa(os.Getuid())
	return Actor{UID: os.Getuid(), PID: os.Getpid(), User: userName(uid), Login: login("/proc", os.Getpid(), uid)}
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

func rememberConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// actorOf returns who asks.
func actorOf(ctx context.Context) (Actor, error) {
	if a, ok := ActorOf(ctx); ok {
		return a, nil
	}
	return Actor{}, errors.New("it came by no connection")
}

// identify returns who has opened the connection of a request, with the role that holds now.
func (a *Access) identify(r *http.Request) (Actor, error) {
	if r.TLS != nil {
		return a.byCertificate(r)
	}
	switch c := r.Context().Value(connKey{}).(type) {
	case *net.UnixConn:
		return a.byPeer(c)
	case *countedConn:
		if c, ok := c.Conn.(*net.UnixConn); ok {
			return a.byPeer(c)
		}
	}
	return Actor{}, errors.New("not a unix socket")
}

// byCertificate returns who has shown a certificate. That is held against the authorities of
// now: the connection may be older than they are.
func (a *Access) byCertificate(r *http.Request) (Actor, error) {
	chain := r.TLS.PeerCertificates
	if len(chain) == 0 || a.Clients == nil {
		return Actor{}, errors.New("no client certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: a.Clients, Intermediates: between, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return Actor{}, err
	}
	by := Actor{UID: -1, Subject: chain[0].Subject.String(), From: r.RemoteAddr}
	if by.Subject == "" {
		by.Subject = strings.Join(sansOf(chain[0]), ",")
	}
	by.Role = a.ofCertificate(chain[0]).String()
	return by, nil
}

func (a *Access) byPeer(c *net.UnixConn) (Actor, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Actor{}, err
	}
	var cred *unix.Ucred
	var groups []uint32
	var credErr, groupsErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		groups, groupsErr = peerGroups(int(fd))
	})
	if err = errors.Join(err, credErr, groupsErr); err != nil {
		return Actor{}, err
	}
	uid := strconv.FormatUint(uint64(cred.Uid), 10)
	by := Actor{UID: int(cred.Uid), PID: int(cred.Pid), User: userName(uid), Login: login("/proc", int(cred.Pid), uid)}
	by.Role = a.ofPeer(cred.Uid, append(groups, cred.Gid)).String()
	return by, nil
}

// groupsMax is how many groups a process can be in (NGROUPS_MAX).
const groupsMax = 65536

// peerGroups returns the supplementary groups of the peer (SO_PEERGROUPS in unix(7)).
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == unix.ERANGE && len(groups) < groupsMax:
			groups = make([]uint32, groupsMax)
		case errno != 0:
			return nil, fmt.Errorf("groups of the peer: %w", errno)
		default:
			return groups[:size/4], nil
		}
	}
}

func userName(uid string) string {
	u, err := user.LookupId(uid)
	if err != nil {
		return ""
	}
	return u.Username
}

// noLogin is what the kernel shows as login of a process that no login has started.
const noLogin = "4294967295"

// login returns the name of the user whose login a process descends from, if that isn't uid
// (proc_pid_loginuid(5)). Its number stands in for a name it hasn't.
func login(proc string, pid int, uid string) string {
	text, err := os.ReadFile(fmt.Sprintf("%s/%d/loginuid", proc, pid))
	id := strings.TrimSpace(string(text))
	if err != nil || id == "" || id == noLogin || id == uid {
		return ""
	}
	if name := userName(id); name != "" {
		return name
	}
	return id
}
