package diagnose

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// portOwner is somebody who listens where a listener of ours wants to.
type portOwner struct {
	listener, address string // of ours
	at                string // file:line:column of the address
	pid               int    // 0: not seen
	name              string
	command           string
}

// socket is a line of /proc/net/tcp.
type socket struct {
	local, remote netip.AddrPort
	listens       bool
	open          bool
	waiting       int // connections in the accept queue, of one that listens
	inode         string
}

// The states of TCP in /proc/net/tcp.
const (
	stateEstablished = "01"
	stateListen      = "0A"
)

// serviceManager keeps sockets of services that don't run, in its store of descriptors or for
// socket units.
const serviceManager = "systemd"

// readSockets looks who listens at our ports while no process of ours does, and who is connected
// to them while one does.
func (f *facts) readSockets(context.Context) {
	all, err := sockets()
	if err != nil {
		f.blind("sockets: " + err.Error())
		return
	}
	if f.up() {
		f.countPeers(all)
		return
	}
	for _, w := range f.wanted() {
		for _, s := range all {
			if s.listens && collides(w.want, s.local) {
				o := portOwner{listener: w.listener, address: w.want.String(), at: w.at}
				o.pid = ownerOf(s.inode)
				o.name = nameOf(o.pid)
				if o.pid == 1 && o.name == serviceManager {
					break // it keeps the socket for our next start
				}
				if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", o.pid)); err == nil {
					o.command = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
				}
				f.ports = append(f.ports, o)
				break
			}
		}
	}
}

type want struct {
	listener, at string
	want         netip.AddrPort
}

// wanted returns where the configuration listens.
func (f *facts) wanted() []want {
	var all []want
	add := func(listener, address, at string) {
		host, port, err := net.SplitHostPort(address)
		n, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil || n == 0 {
			return
		}
		addr, err := netip.ParseAddr(host)
		if err != nil {
			addr = netip.IPv4Unspecified()
		}
		all = append(all, want{listener, at, netip.AddrPortFrom(addr.Unmap(), uint16(n))})
	}
	for _, l := range f.cfg.Listeners {
		for _, a := range l.Addresses {
			at := ""
			if a.From.File != "" {
				at = fmt.Sprintf("%s:%d:%d", a.From.File, a.From.Span.Start.Line, a.From.Span.Start.Column)
			}
			add(l.Name.V, a.V, at)
		}
	}
	add("metrics", f.cfg.Observability.Metrics.Address.V, "")
	return all
}

// collides reports whether two sockets can't listen at both places.
func collides(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// countPeers counts the open connections to our listeners by client.
func (f *facts) countPeers(all []socket) {
	ours := make(map[uint16]bool)
	for _, p := range f.places() {
		if _, port, err := net.SplitHostPort(p.address); err == nil {
			n, _ := strconv.ParseUint(port, 10, 16)
			ours[uint16(n)] = true
		}
	}
	f.peers = make(map[string]int)
	for _, s := range all {
		if s.open && ours[s.local.Port()] {
			f.peers[s.remote.Addr().String()]++
		}
	}
}

// topPeer returns the client with the most open connections.
func (f *facts) topPeer() (client string, n int) {
	for c, k := range f.peers {
		if k > n || k == n && c < client {
			client, n = c, k
		}
	}
	return client, n
}

// acceptQueue returns how many connections wait at our listeners to be accepted.
func (f *facts) acceptQueue() (n int) {
	all, _ := sockets()
	for _, w := range f.wanted() {
		for _, s := range all {
			if s.listens && collides(w.want, s.local) {
				n += s.waiting
			}
		}
	}
	return n
}

// socketsMax bounds how many sockets are looked at.
const socketsMax = 1 << 20

func sockets() ([]socket, error) {
	var all []socket
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(path)
		if err != nil {
			if path == "/proc/net/tcp6" {
				break // a machine without IPv6
			}
			return nil, err
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() && len(all) < socketsMax {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[0] == "sl" {
				continue
			}
			local, ok := parseAddress(fields[1])
			remote, _ := parseAddress(fields[2])
			if ok {
				_, queue, _ := strings.Cut(fields[4], ":")
				waiting, _ := strconv.ParseInt(queue, 16, 64)
				all = append(all, socket{local, remote, fields[3] == stateListen, fields[3] == stateEstablished, int(waiting), fields[9]})
			}
		}
		file.Close()
	}
	return all, nil
}

// parseAddress reads "0100007F:1F90": the address is in words of the machine, which are taken to
// be little-endian.
func parseAddress(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}

// ownerOf returns a process that holds a socket, 0 when none is seen.
func ownerOf(inode string) int {
	entries, _ := os.ReadDir("/proc")
	link := "socket:[" + inode + "]"
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		files, _ := os.ReadDir(dir) // those of others can't be seen
		for _, fd := range files {
			if to, err := os.Readlink(dir + "/" + fd.Name()); err == nil && to == link {
				return pid
			}
		}
	}
	return 0
}
