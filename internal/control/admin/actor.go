package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Actor is who asks, by what the kernel knows of the peer and not by what it says.
type Actor struct {
	UID   int    `json:"uid"`
	PID   int    `json:"pid"`             // 0 for a process that isn't seen from here
	User  string `json:"user,omitempty"`  // name of UID; empty when it has none
	Login string `json:"login,omitempty"` // who logged in, where that is another: UID is root after sudo
}

// String returns the actor in words: `root (uid 0, login "alice"), pid 123`.
func (a Actor) String() string {
	name := a.User
	if name == "" {
		name = "a user without a name"
	}
	login := ""
	if a.Login != "" {
		login = fmt.Sprintf(", login %q", a.Login)
	}
	return fmt.Sprintf("%s (uid %d%s), pid %d", name, a.UID, login, a.PID)
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

// actorOf returns who has opened the connection of a request.
func actorOf(ctx context.Context) (Actor, error) {
	c, ok := ctx.Value(connKey{}).(*net.UnixConn)
	if !ok {
		return Actor{}, errors.New("not a unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return Actor{}, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, credErr); err != nil {
		return Actor{}, err
	}
	uid := strconv.FormatUint(uint64(cred.Uid), 10)
	return Actor{UID: int(cred.Uid), PID: int(cred.Pid), User: userName(uid), Login: login("/proc", int(cred.Pid), uid)}, nil
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
