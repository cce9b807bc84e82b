package ban

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/block"
	"sentinel/internal/observe/event"
)

const (
	// BansMax is how many bans there may be.
	BansMax = 100_000
	// cutAfter is how long a request in hand of a client that was banned may go on.
	cutAfter = 30 * time.Second
	// wakeMax bounds how long the keeper sleeps: the time of day may be set meanwhile.
	wakeMax = time.Minute
)

// Options are what a Keeper works with.
type Options struct {
	Table  *block.Table
	Events *event.Log
	Log    *slog.Logger
	// Protected returns what mustn't be banned at the moment; may be nil.
	Protected func() []Protected
	// Evict ends the connections of clients for which out is true and returns how many those
	// are; where cut is false requests in hand are finished. May be nil.
	Evict func(out func(netip.Addr) bool, cut bool) int
	// Follow is told all bans that hold, one call at a time, whenever they have changed, and
	// says whether the kernel keeps them out, too. May be nil.
	Follow func([]Held) bool
}

// Held is a ban that holds.
type Held struct {
	Prefix netip.Prefix
	Until  time.Time // zero for one without an end
}

// Keeper keeps the bans. Its methods may be called from any goroutine.
type Keeper struct {
	opt   Options
	saver saver
	woken chan struct{} // has room for one
	// following is held over a call of Follow, so that the newest bans are told last.
	following sync.Mutex
	stop      context.CancelFunc
	ended     sync.WaitGroup

	mu struct {
		sync.Mutex
		bans map[netip.Prefix]*ban
		cuts []cut // in the order of their time
	}
}

// ban is one ban. What it holds but the entry's counter doesn't change.
type ban struct {
	entry        *block.Entry
	by           admin.Actor
	reason       string
	since, until time.Time // until is zero for one without an end
}

// cut is when the last connections of clients that were banned end.
type cut struct {
	entries []*block.Entry
	at      time.Time
}

// New returns a Keeper that keeps bans in the process alone until Open names a file.
func New(o Options) *Keeper {
	if o.Protected == nil {
		o.Protected = func() []Protected { return nil }
	}
	if o.Evict == nil {
		o.Evict = func(func(netip.Addr) bool, bool) int { return 0 }
	}
	k := &Keeper{opt: o, woken: make(chan struct{}, 1)}
	k.mu.bans = make(map[netip.Prefix]*ban)
	return k
}

// Run lifts bans as their time comes, until Close.
func (k *Keeper) Run() {
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.ended.Go(func() { k.run(ctx) })
}

// Close ends what Run has begun and saves the counters.
func (k *Keeper) Close() {
	k.stop()
	k.ended.Wait()
	if err := k.save(); err != nil {
		k.opt.Log.Error("bans not saved", "error", "file error", "detail", err.Error())
	}
}

func (k *Keeper) run(ctx context.Context) {
	for {
		timer := time.NewTimer(k.pass(time.Now()))
		select {
		case <-timer.C:
		case <-k.woken:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// wake has the keeper look again when the next thing is due.
func (k *Keeper) wake() {
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

// pass does what is due at now and returns how long the keeper may sleep then.
func (k *Keeper) pass(now time.Time) time.Duration {
	k.mu.Lock()
	var over []*ban
	sleep := wakeMax
	for _, b := range k.mu.bans {
		switch left := b.until.Sub(now); {
		case b.until.IsZero():
		case left <= 0:
			over = append(over, b)
		default:
			sleep = min(sleep, left)
		}
	}
	k.removeLocked(over)
	var due []*block.Entry
	for len(k.mu.cuts) > 0 && !k.mu.cuts[0].at.After(now) {
		due = append(due, k.mu.cuts[0].entries...)
		k.mu.cuts = k.mu.cuts[1:]
	}
	if len(k.mu.cuts) > 0 {
		sleep = min(sleep, k.mu.cuts[0].at.Sub(now))
	}
	k.mu.Unlock()
	k.evict(due, true)
	if len(over) > 0 {
		k.follow()
		k.expired(over)
		k.saveOrTell()
	}
	return sleep
}

// follow tells of the bans that hold now.
func (k *Keeper) follow() (kernel bool) {
	if k.opt.Follow == nil {
		return false
	}
	k.following.Lock()
	defer k.following.Unlock()
	k.mu.Lock()
	var list []Held
	for p, b := range k.mu.bans {
		if !b.entry.Shadow() {
			list = append(list, Held{p, b.until})
		}
	}
	k.mu.Unlock()
	return k.opt.Follow(list)
}

// evict ends the connections of clients that the entries keep out, and returns how many
// those are.
func (k *Keeper) evict(entries []*block.Entry, cut bool) int {
	if len(entries) == 0 {
		return 0
	}
	mine := make(map[*block.Entry]bool, len(entries))
	for _, e := range entries {
		mine[e] = true
	}
	return k.opt.Evict(func(a netip.Addr) bool { return mine[k.opt.Table.Find(a)] }, cut)
}

// removeLocked takes bans out, of the table too.
func (k *Keeper) removeLocked(list []*ban) {
	if len(list) == 0 {
		return
	}
	var prefixes []netip.Prefix
	for _, b := range list {
		prefixes = append(prefixes, b.entry.Prefix())
		delete(k.mu.bans, b.entry.Prefix())
	}
	k.opt.Table.Change(nil, prefixes)
}

func (k *Keeper) expired(list []*ban) {
	sortBans(list)
	for _, b := range list {
		k.opt.Events.Emit(event.Event{
			Kind: event.KindBan, Client: b.entry.Prefix().String(), From: b.state(), To: "free",
			Cause: "its time is over", Detail: b.story(),
		})
	}
}

// saveOrTell saves, and logs when that fails.
func (k *Keeper) saveOrTell() {
	if err := k.save(); err != nil {
		k.opt.Log.Error("bans not saved: after a restart those of before hold", "error", "file error", "detail", err.Error())
	}
}

// Count returns how many bans there are.
func (k *Keeper) Count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.mu.bans)
}

// Bans implements admin.Bans.
func (k *Keeper) Bans() []admin.Ban {
	k.mu.Lock()
	list := slices.Collect(maps.Values(k.mu.bans))
	k.mu.Unlock()
	return show(list)
}

// show returns bans as the API shows them, in the order of their prefixes.
func show(list []*ban) []admin.Ban {
	sortBans(list)
	all := make([]admin.Ban, len(list))
	for i, b := range list {
		all[i] = b.show()
	}
	return all
}

func (b *ban) show() admin.Ban {
	return admin.Ban{Prefix: b.entry.Prefix().String(), By: b.by, Reason: b.reason, Since: b.since, Until: b.until, Hits: b.entry.Hits(), Shadow: b.entry.Shadow()}
}

func sortBans(list []*ban) {
	slices.SortFunc(list, func(x, y *ban) int {
		a, b := x.entry.Prefix(), y.entry.Prefix()
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
}
