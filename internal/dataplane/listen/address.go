package listen

import (
	"net"
	"net/netip"
)

// wanted is one address that a plan asks for.
type wanted struct {
	spec    *Spec
	address string // as configured
	network string // "tcp", "tcp4" or "tcp6"
	key     string // names the socket across generations
}

// wantedBy lists the addresses of a plan. An IPv6 wildcard takes IPv4 clients too
// (dual stack), unless the plan binds the IPv4 wildcard of the same port itself.
func wantedBy(p *Plan) []wanted {
	v4 := make(map[string]bool)
	for i := range p.Listeners {
		for _, a := range p.Listeners[i].Addresses {
			if host, port, err := net.SplitHostPort(a); err == nil && host == "0.0.0.0" {
				v4[port] = true
			}
		}
	}
	var all []wanted
	for i := range p.Listeners {
		s := &p.Listeners[i]
		for _, a := range s.Addresses {
			w := wanted{spec: s, address: a, network: "tcp"}
			host, port, err := net.SplitHostPort(a)
			ip, ipErr := netip.ParseAddr(host)
			switch {
			case err != nil:
			case ipErr == nil && ip.Is4():
				w.network = "tcp4"
			case ipErr == nil && !ip.IsUnspecified(), (host == "" || ipErr == nil) && v4[port]:
				w.network = "tcp6"
			}
			w.key = w.network + " " + a
			if port == "0" {
				w.key += " " + s.Name // each such listener has a port of its own
			}
			all = append(all, w)
		}
	}
	return all
}

// overlaps reports whether two TCP addresses can't be bound side by side: same port, and
// one is a wildcard or both are the same.
func overlaps(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB {
		return false
	}
	return wildcard(hostA) || wildcard(hostB) || hostA == hostB
}

func wildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}
