package resolve

import (
	"bufio"
	"bytes"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// localServer is asked when resolv.conf names none.
const localServer = "127.0.0.1:53"

// system is what this machine says about names. It is immutable.
type system struct {
	servers []string // "ip:port", at least one
	search  []string // domains with a trailing dot
	ndots   int      // names with as many dots are asked as they are first
	hosts   map[string][]netip.Addr
}

// fixedServers returns a system that asks servers and knows no search list.
func fixedServers(servers []string) system {
	return system{servers: servers[:min(len(servers), serversMax)]}
}

// parseResolvConf reads resolv.conf(5). The servers may be none.
func parseResolvConf(data []byte) system {
	conf, err := dns.ClientConfigFromReader(bytes.NewReader(data))
	if err != nil { // a reader of memory has no errors
		conf = &dns.ClientConfig{Ndots: 1}
	}
	s := system{ndots: conf.Ndots}
	for _, server := range conf.Servers {
		if addr, err := netip.ParseAddr(server); err == nil && len(s.servers) < serversMax {
			s.servers = append(s.servers, net.JoinHostPort(addr.String(), "53"))
		}
	}
	for _, domain := range conf.Search {
		domain = strings.ToLower(strings.TrimSuffix(domain, "."))
		if validHost(domain) && len(s.search) < searchMax {
			s.search = append(s.search, domain+".")
		}
	}
	return s
}

// candidates returns the names to ask for, in order, each with a trailing dot.
func (s system) candidates(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var names []string
	for _, domain := range s.search {
		if full := name + "." + domain; validHost(full) {
			names = append(names, full)
		}
	}
	if strings.Count(name, ".") >= s.ndots {
		return append([]string{name + "."}, names...)
	}
	return append(names, name+".")
}

// local returns the addresses of a name that needs no query, and who says so.
func (s system) local(name string) (addrs []netip.Addr, from string) {
	name = strings.TrimSuffix(name, ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, "localhost"
	}
	return s.hosts[name], "hosts"
}

// parseHosts reads hosts(5): an address and its names, a line each. What can't be read is
// passed over, as the C library does.
func parseHosts(data []byte) map[string][]netip.Addr {
	hosts := make(map[string][]netip.Addr)
	for scan := bufio.NewScanner(bytes.NewReader(data)); scan.Scan(); {
		line, _, _ := strings.Cut(scan.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(words[0])
		if err != nil || !usable(addr) {
			continue
		}
		for _, name := range words[1:] {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			if validHost(name) {
				hosts[name] = append(hosts[name], addr.Unmap())
			}
		}
	}
	return hosts
}

// usable reports whether an address can be a target: no zone is needed to reach it, and
// it stands for one machine.
func usable(addr netip.Addr) bool {
	v6LinkLocal := !addr.Unmap().Is4() && addr.IsLinkLocalUnicast()
	return addr.IsValid() && !v6LinkLocal && !addr.Unmap().IsUnspecified() && !addr.IsMulticast() && addr.Zone() == ""
}

// equal reports whether two systems ask alike; the hosts file aside.
func (s system) equal(other system) bool {
	return slices.Equal(s.servers, other.servers) && slices.Equal(s.search, other.search) && s.ndots == other.ndots
}

func equalHosts(a, b map[string][]netip.Addr) bool {
	return maps.EqualFunc(a, b, slices.Equal[[]netip.Addr])
}
