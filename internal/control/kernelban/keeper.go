package kernelban

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// renewEvery is how often the entries' leases are renewed: several times in leaseMax.
	renewEvery = 5 * time.Minute
	// lookEvery is how often it is looked how much the kernel has dropped.
	lookEvery = 5 * time.Second
)

// Ban is a prefix that is banned, in the form of block.Canonical.
type Ban struct {
	Prefix netip.Prefix
	Until  time.Time // zero for one without an end
}

// Counts takes what there is to tell.
type Counts interface {
	// SetKernelBans is told how many prefixes the kernel keeps out; 0 while it keeps none.
	SetKernelBans(n int)
	// KernelDropped is told of further connections that the kernel has refused.
	KernelDropped(n uint64)
}

// Options are what a Keeper works with.
type Options struct {
	StateDir func() string // tells tables of this installation apart
	Counts   Counts
	Log      *slog.Logger
}

// Keeper keeps the kernel's table in step with the bans. Its methods may be called from any
// goroutine.
type Keeper struct {
	opt Options
	mu  struct {
		sync.Mutex
		on      bool
		ports   []uint16
		bans    []Ban
		table   *table // in the kernel; nil while there is none
		dropped uint64 // as the table counted last
		trouble string // that was logged last
		closed  bool
	}
}

// New returns a Keeper that is off.
func New(o Options) *Keeper { return &Keeper{opt: o} }

// Possible returns nil where the process may have a table in the kernel, and why not
// otherwise.
func Possible() error {
	t, err := newTable(fmt.Sprintf("%strial-%d", namePrefix, os.Getpid()))
	if err != nil {
		return err
	}
	if err := t.install(nil, nil, time.Now()); err != nil {
		return err
	}
	return t.remove()
}

// Serve says whether the kernel is to help, and at which ports the listeners are.
func (k *Keeper) Serve(on bool, ports []uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	slices.Sort(ports)
	ports = slices.Compact(ports)
	if on == k.mu.on && slices.Equal(ports, k.mu.ports) {
		return
	}
	k.mu.on, k.mu.ports = on, ports
	if !on {
		k.removeLocked()
		return
	}
	k.installLocked()
}

// Follow takes over the bans there are now. It returns true when the kernel keeps them out.
func (k *Keeper) Follow(bans []Ban) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.bans = widest(bans)
	if !k.mu.on || k.mu.closed {
		return false
	}
	k.replaceLocked()
	return k.mu.table != nil
}

// Run renews what is in the kernel until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-look.C:
			k.mu.Lock()
			k.countLocked()
			if k.mu.on && now.Sub(renewed) >= renewEvery {
				k.replaceLocked()
				renewed = now
			}
			k.mu.Unlock()
		}
	}
}

// Close takes the table away for good.
func (k *Keeper) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.closed = true
	k.removeLocked()
}

// installLocked puts a whole table in place.
func (k *Keeper) installLocked() {
	if k.mu.closed {
		return
	}
	k.countLocked()
	base := fmt.Sprintf("%s%08x", namePrefix, hash(k.opt.StateDir()))
	t, err := newTable(fmt.Sprintf("%s-%d", base, os.Getpid()))
	if err == nil {
		if err = t.install(k.mu.ports, k.mu.bans, time.Now()); err == nil {
			err = t.sweep(base)
		}
	}
	if err != nil {
		k.mu.table = nil
		k.opt.Counts.SetKernelBans(0)
		k.tellLocked(err)
		return
	}
	if k.mu.table != nil && k.mu.table.table.Name != t.table.Name { // the state folder has moved
		k.mu.table.remove()
	}
	k.mu.table, k.mu.dropped = t, 0
	k.doneLocked()
}

// replaceLocked puts the bans in place, or all of the table where it is gone.
func (k *Keeper) replaceLocked() {
	if k.mu.table == nil {
		k.installLocked()
		return
	}
	if err := k.mu.table.replace(k.mu.bans, time.Now()); err != nil {
		k.installLocked()
		return
	}
	k.doneLocked()
}

func (k *Keeper) removeLocked() {
	if k.mu.table == nil {
		return
	}
	k.countLocked()
	if err := k.mu.table.remove(); err != nil {
		k.tellLocked(err)
	}
	k.mu.table = nil
	k.opt.Counts.SetKernelBans(0)
}

// countLocked counts what the kernel has dropped since it was asked last.
func (k *Keeper) countLocked() {
	if k.mu.table == nil {
		return
	}
	n, err := k.mu.table.dropped()
	switch {
	case err != nil: // somebody has taken it away: the next change puts it back
		k.tellLocked(err)
		k.mu.table = nil
		if !k.mu.closed {
			k.installLocked()
		}
	case n > k.mu.dropped:
		k.opt.Counts.KernelDropped(n - k.mu.dropped)
		k.mu.dropped = n
	}
}

func (k *Keeper) doneLocked() {
	k.opt.Counts.SetKernelBans(len(k.mu.bans))
	if k.mu.trouble != "" {
		k.mu.trouble = ""
		k.opt.Log.Info("bans are in the kernel again")
	}
}

// tellLocked logs what is wrong, once.
func (k *Keeper) tellLocked(err error) {
	if err.Error() == k.mu.trouble {
		return
	}
	k.mu.trouble = err.Error()
	k.opt.Log.Warn("bans are not in the kernel: they hold in the process alone", "error", "kernel bans", "detail", err.Error(),
		"remedy", "give the process CAP_NET_ADMIN and a kernel with nf_tables, or set kernel-bans \"off\"")
}

// widest returns the bans that no other one holds, in the order of their width, as many as the
// kernel is given. Intervals of a set may not overlap.
func widest(list []Ban) []Ban {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Ban) int {
		return cmp.Or(cmp.Compare(a.Prefix.Addr().BitLen(), b.Prefix.Addr().BitLen()), a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	kept := list[:0]
	for _, b := range list {
		if n := len(kept); n == 0 || !kept[n-1].Prefix.Overlaps(b.Prefix) {
			kept = append(kept, b)
		}
	}
	if len(kept) > entriesMax {
		slices.SortStableFunc(kept, func(a, b Ban) int { return cmp.Compare(hostBits(a.Prefix), hostBits(b.Prefix)) })
		slices.Reverse(kept)
		kept = kept[:entriesMax]
	}
	return kept
}

func hostBits(p netip.Prefix) int { return p.Addr().BitLen() - p.Bits() }

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}
