package lifecycle

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync/atomic"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/ban"
	"sentinel/internal/control/kernelban"
	"sentinel/internal/dataplane/block"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/observe/event"
)

// bansFile is the name of the file of bans in the state folder.
const bansFile = "bans.json"

// bans ties the bans to the process: what they mustn't hit, whose connections they end, and
// where they are kept.
type bans struct {
	*ban.Keeper
	table    block.Table
	live     *compile.Live
	registry atomic.Pointer[listen.Registry]
	trusted  atomic.Pointer[[]netip.Prefix] // proxies, by the configuration that serves
}

func newBans(live *compile.Live, events *event.Log, log *slog.Logger, kernel *kernelBans) *bans {
	b := &bans{live: live}
	b.Keeper = ban.New(ban.Options{
		Table: &b.table, Events: events, Log: log, Protected: b.protected, Evict: b.evict,
		Follow: func(held []ban.Held) bool {
			list := make([]kernelban.Ban, len(held))
			for i, h := range held {
				list[i] = kernelban.Ban(h)
			}
			return kernel.Follow(list)
		},
	})
	return b
}

// serves takes over what cfg, which serves from now on, says of the bans.
func (b *bans) serves(cfg *schema.Config) {
	trusted := make([]netip.Prefix, len(cfg.System.TrustedProxies))
	for i, p := range cfg.System.TrustedProxies {
		trusted[i] = block.Canonical(p.V)
	}
	for _, l := range cfg.Listeners {
		if l.ProxyProtocol == nil {
			continue
		}
		for _, p := range l.ProxyProtocol.From {
			trusted = append(trusted, block.Canonical(p.V))
		}
	}
	b.trusted.Store(&trusted)
	b.Open(filepath.Join(cfg.System.StateDir.V, bansFile))
}

// protected returns the trusted proxies and the targets of upstreams.
func (b *bans) protected() []ban.Protected {
	var list []ban.Protected
	if trusted := b.trusted.Load(); trusted != nil {
		for _, p := range *trusted {
			list = append(list, ban.Protected{Prefix: p, Why: "a trusted proxy"})
		}
	}
	for _, e := range b.live.Endpoints() {
		if a, err := netip.ParseAddrPort(e.Dial); err == nil {
			addr := a.Addr().Unmap().WithZone("")
			list = append(list, ban.Protected{Prefix: netip.PrefixFrom(addr, addr.BitLen()), Why: fmt.Sprintf("a target of upstream %q", e.Upstream.Name)})
		}
	}
	return list
}

func (b *bans) evict(out func(netip.Addr) bool, cut bool) int {
	if r := b.registry.Load(); r != nil {
		return r.Evict(out, cut)
	}
	return 0
}

// screen reports whether a peer may connect, and counts one that may not.
func (a *assembly) screen(l *listen.Listener, peer netip.Addr, sender bool) bool {
	k := a.Screen(l.Slot(), peer, sender)
	if k == fault.None {
		return true
	}
	a.metrics.ConnectionRefused(k)
	a.metrics.Unrouted().Fault(k)
	return false
}
