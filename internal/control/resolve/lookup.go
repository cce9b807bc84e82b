package resolve

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// families are the types of address records, in the order of answer.addrs.
var families = [2]uint16{dns.TypeA, dns.TypeAAAA}

// answer is what is known about a question. Its slices are never written to.
type answer struct {
	addrs   [2][]netip.Addr // of a host, by family, sorted
	targets []srvTarget     // of a service, sorted
	kept    [2]bool         // which of addrs are of an earlier answer; the first: targets
	ttl     time.Duration
	server  string
}

// srvTarget is one SRV record.
type srvTarget struct {
	priority, weight, port uint16
	host                   string       // lower case, with a trailing dot
	addrs                  []netip.Addr // from the additional section
}

func (a answer) empty() bool {
	return len(a.addrs[0])+len(a.addrs[1])+len(a.targets) == 0
}

// equal reports whether two answers say the same, whoever said it for how long.
func (a answer) equal(b answer) bool {
	return slices.Equal(a.addrs[0], b.addrs[0]) && slices.Equal(a.addrs[1], b.addrs[1]) &&
		slices.EqualFunc(a.targets, b.targets, func(x, y srvTarget) bool { return compareSRV(x, y) == 0 })
}

// stale returns the answer as what is kept of it when nothing new is known.
func (a answer) stale() answer {
	a.kept = [2]bool{true, true}
	return a
}

// fresh returns the answer without what is kept from an earlier one.
func (a answer) fresh() answer {
	for i, kept := range a.kept {
		if kept {
			a.addrs[i] = nil
		}
	}
	if a.kept[0] {
		a.targets = nil
	}
	a.kept = [2]bool{}
	return a
}

// lookup asks a question. The answer is what to use from now on, even with an error: then
// it is last, or one family of it beside a fresh one.
func (a *asker) lookup(ctx context.Context, q question, last answer) (answer, error) {
	if q.service {
		return a.service(ctx, q.name, last)
	}
	return a.host(ctx, q.name, last)
}

func (a *asker) host(ctx context.Context, name string, last answer) (answer, error) {
	if addrs, from := a.system.local(name); len(addrs) > 0 {
		return hostAnswer(addrs, from), nil
	}
	var absent error
	for _, full := range a.system.candidates(name) {
		replies := a.askBoth(ctx, full)
		if !replies[0].absent || !replies[1].absent {
			return merge(replies, last)
		}
		absent = cmp.Or(absent, replies[0].err)
	}
	return last.stale(), absent
}

// hostAnswer returns an answer that came without a query; it lasts as long as may be.
func hostAnswer(addrs []netip.Addr, from string) answer {
	out := answer{server: from, ttl: time.Hour * 24 * 365}
	for _, addr := range addrs {
		i := 0
		if !addr.Is4() {
			i = 1
		}
		out.addrs[i] = append(out.addrs[i], addr)
	}
	for i := range out.addrs {
		out.addrs[i] = tidy(out.addrs[i])
	}
	return out
}

// askBoth asks for both families at once. Without usable addresses a reply is absent.
func (a *asker) askBoth(ctx context.Context, name string) (replies [2]reply) {
	var both sync.WaitGroup
	for i, qtype := range families {
		both.Go(func() {
			r := a.ask(ctx, name, qtype)
			if r.err == nil && len(addressesOf(r.found)) == 0 {
				r.absent, r.err = true, fmt.Errorf("%s: %w", name, ErrNoRecords)
			}
			replies[i] = r
		})
	}
	both.Wait()
	return replies
}

// merge makes one answer of the replies for both families. A family that failed keeps its
// last addresses; it is an error only when it had some or the other family has none.
func merge(replies [2]reply, last answer) (answer, error) {
	out := answer{ttl: replies[0].ttl}
	var failed error
	some := false
	for i, r := range replies {
		switch {
		case r.err == nil:
			out.addrs[i] = addressesOf(r.found)
			out.server = cmp.Or(out.server, r.server)
			if !some || r.ttl < out.ttl {
				out.ttl = r.ttl
			}
			some = true
		case !r.absent:
			out.addrs[i], out.kept[i] = last.addrs[i], true
			failed = cmp.Or(failed, r.err)
		}
	}
	switch {
	case !some:
		return last.stale(), failed
	case failed != nil && out.fresh().equal(out): // nothing had to be kept
		out.kept = [2]bool{}
		return out, nil
	}
	return out, failed
}

// addressesOf returns the usable addresses of records, sorted, each once.
func addressesOf(records []dns.RR) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range records {
		var ip []byte
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if addr, ok := netip.AddrFromSlice(ip); ok && usable(addr) {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return tidy(addrs)
}

func tidy(addrs []netip.Addr) []netip.Addr {
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	return addrs[:min(len(addrs), AddressesMax)]
}

func (a *asker) service(ctx context.Context, name string, last answer) (answer, error) {
	var absent error
	for _, full := range a.system.candidates(name) {
		r := a.ask(ctx, full, dns.TypeSRV)
		if r.err == nil {
			out := answer{ttl: r.ttl, server: r.server, targets: targetsOf(&r)}
			if len(out.targets) > 0 {
				return out, nil
			}
			r.absent, r.err = true, fmt.Errorf("%s: %w", full, ErrNoRecords) // "." says that the service isn't offered
		}
		if !r.absent {
			return last.stale(), r.err
		}
		absent = cmp.Or(absent, r.err)
	}
	return last.stale(), absent
}

// targetsOf returns the usable SRV records of a reply, sorted, each once. The TTL of the
// reply falls to that of the addresses it brings along.
func targetsOf(r *reply) []srvTarget {
	var targets []srvTarget
	for _, rr := range r.found {
		srv, ok := rr.(*dns.SRV)
		if !ok {
			continue
		}
		t := srvTarget{srv.Priority, srv.Weight, srv.Port, strings.ToLower(srv.Target), nil}
		if validHost(t.host) && t.port != 0 {
			targets = append(targets, t)
		}
	}
	slices.SortFunc(targets, compareSRV)
	targets = slices.CompactFunc(targets, func(x, y srvTarget) bool { return compareSRV(x, y) == 0 })
	targets = targets[:min(len(targets), AddressesMax)]
	for i := range targets {
		targets[i].addrs = r.additional(targets[i].host)
	}
	return targets
}

// additional returns the addresses that came along for a host.
func (r *reply) additional(host string) []netip.Addr {
	var records []dns.RR
	for _, rr := range r.extra {
		h := rr.Header()
		isAddress := h.Rrtype == dns.TypeA || h.Rrtype == dns.TypeAAAA
		if isAddress && h.Class == dns.ClassINET && strings.EqualFold(h.Name, host) {
			records = append(records, rr)
			r.ttl = min(r.ttl, time.Duration(saneTTL(h.Ttl))*time.Second)
		}
	}
	return addressesOf(records)
}

func compareSRV(a, b srvTarget) int {
	return cmp.Or(cmp.Compare(a.priority, b.priority), strings.Compare(a.host, b.host), cmp.Compare(a.port, b.port),
		cmp.Compare(a.weight, b.weight), slices.CompareFunc(a.addrs, b.addrs, netip.Addr.Compare))
}
