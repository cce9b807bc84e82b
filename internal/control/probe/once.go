package probe

import (
	"context"
	"net"
	"net/netip"
)

// Once probes a target a single time and returns what happened, for somebody who looks for a
// fault: it decides nothing. It ends with the check's timeout or with ctx. A nil lookup is that
// of the system.
func Once(ctx context.Context, t Target, lookup Lookup) *Transcript {
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	check := t.Check.withDefaults()
	a := &asker{dialer: &net.Dialer{KeepAlive: -1}, lookup: lookup, target: t, check: &check}
	return a.ask(ctx)
}
