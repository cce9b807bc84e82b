// Command origin is the upstream of the benchmarks: one thread, one epoll
// instance, raw system calls, and answers built before the first connection.
// It has to cost so little that the load generator and the origin share a core
// without slowing the proxy under test.
//
// It answers GET and HEAD for /1k, /1m and /chunked, consumes request content
// of any length or in chunks, keeps connections alive and answers pipelined
// requests in order. Everything else is 404.
//
// The garbage collector is off: after the last accept nothing allocates, and
// connection records are kept and used again.
package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "IPv4 address and port to listen on")
	also := flag.Int("also", 0, "`number` of further addresses to listen on, 127.0.1.1 and up, with the same port")
	flag.Parse()
	addr, err := netip.ParseAddrPort(*listen)
	if err != nil || !addr.Addr().Is4() || *also < 0 || *also > alsoMax {
		fmt.Fprintf(os.Stderr, "origin: -listen %q is not an IPv4 address with a port, or -also %d not from 0 to %d\n", *listen, *also, alsoMax)
		os.Exit(2)
	}
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	l, err := newLoop(addresses(addr, *also))
	if err == nil {
		err = l.run()
	}
	fmt.Fprintf(os.Stderr, "origin: %v\n", err)
	os.Exit(1)
}

// alsoMax is how many further addresses there can be: those of one last byte.
const alsoMax = 254

// addresses returns first and also more: 127.0.1.1 and up, with its port.
func addresses(first netip.AddrPort, also int) []netip.AddrPort {
	all := []netip.AddrPort{first}
	for i := range also {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), first.Port()))
	}
	return all
}
