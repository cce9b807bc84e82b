package lifecycle

import (
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"sentinel/internal/control/kernelban"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/observe/metric"
)

// kernelBans ties the bans in the kernel to the process. It is a KernelBanner.
type kernelBans struct {
	*kernelban.Keeper
	registry func() *listen.Registry
	stateDir atomic.Pointer[string]
}

func newKernelBans(m *metric.Registry, log *slog.Logger, registry func() *listen.Registry) *kernelBans {
	k := &kernelBans{registry: registry}
	k.Keeper = kernelban.New(kernelban.Options{Counts: m, Log: log, StateDir: func() string { return *k.stateDir.Load() }})
	return k
}

// Possible implements KernelBanner.
func (k *kernelBans) Possible(s *Settings) error {
	if !s.KernelBans.Required {
		return nil
	}
	err := kernelban.Possible()
	if err == nil {
		return nil
	}
	remedy := "is nf_tables part of this kernel?"
	if errors.Is(err, kernelban.ErrNotAllowed) {
		remedy = "give it that capability (AmbientCapabilities=CAP_NET_ADMIN in the unit)"
	}
	line := s.KernelBans.At + ": kernel-bans \"required\" can't be met: " + err.Error() + "; " + remedy + ", or write \"on\" to do without where it must be"
	return &ConfigError{Kind: "validation error", Lines: []string{line}, Report: line}
}

// Serve implements KernelBanner. What is bound is what counts: a port may have been chosen by
// the system.
func (k *kernelBans) Serve(s *Settings) {
	k.stateDir.Store(&s.StateDir)
	var ports []uint16
	for _, b := range k.registry().Bindings() {
		if a, err := netip.ParseAddrPort(b.Address); err == nil {
			ports = append(ports, a.Port())
		}
	}
	k.Keeper.Serve(s.KernelBans.On, ports)
}

func (p *Process) serveKernelBans(s *Settings) {
	if p.opt.KernelBans != nil {
		p.opt.KernelBans.Serve(s)
	}
}
