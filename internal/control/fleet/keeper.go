// Package fleet lets the rate limits of several proxies count together, by way of a Redis or
// Valkey. The data plane decides by leases that it has already (see package limit); this
// package settles what was spent and brings the next leases, a batch of keys at a time.
//
//	tables --Collect--> questions --pipeline--> store --answers--> Settle --> tables
//
// The store keeps one number for each key, with the time of its own clock, so that clocks of
// proxies don't matter. While it is away each proxy counts by itself.
package fleet

import (
	"context"
	"crypto/rand"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/config/compile"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

const (
	// batchMax bounds the keys that are settled in one go.
	batchMax = 1024
	// meetEvery is how often a proxy says that it is there; after gone without a word the
	// others no longer count it.
	meetEvery = time.Second
	gone      = 5 * time.Second
	// retryFirst and retryMax are how long a store that is away is left alone: doubled with
	// each try.
	retryFirst = 100 * time.Millisecond
	retryMax   = 2 * time.Second
)

// Options are what a Keeper is made with.
type Options struct {
	Clock   *netio.Clock
	Events  *event.Log
	Metrics *metric.Store
}

// Keeper settles what the shared limits of a configuration have spent. Make it by New, then
// Run it until Close.
type Keeper struct {
	opt    Options
	name   string // of this proxy among the fleet
	serves atomic.Pointer[compile.Fleet]
	wake   chan struct{}
	stop   context.CancelFunc
	tasks  sync.WaitGroup

	// What follows belongs to the task.
	fleet   *compile.Fleet
	store   *store // nil while it is away
	told    bool   // that it is away
	proxies int    // in the fleet, as last known; 0 is not known
	met     time.Time
	retryAt time.Time
	retryIn time.Duration
	owed    bool   // keys may be due from a time without a store
	decided uint64 // what the limits had decided when that was last looked at
	batch   []limit.Spending
	first   int   // the limit whose keys stand first in batch
	from    []int // where the keys of each limit begin there
	ask     []question
}

// New returns a Keeper without anything to keep.
func New(o Options) *Keeper {
	return &Keeper{opt: o, name: rand.Text(), wake: make(chan struct{}, 1), batch: make([]limit.Spending, 0, batchMax)}
}

// Serve makes f what is kept; nil for nothing. It may be called from any goroutine.
func (k *Keeper) Serve(f *compile.Fleet) {
	k.serves.Store(f)
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run keeps until Close.
func (k *Keeper) Run() {
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.tasks.Go(func() { k.run(ctx) })
}

// Close says goodbye to the fleet, ends all work and waits for it.
func (k *Keeper) Close() {
	k.stop()
	k.tasks.Wait()
}

func (k *Keeper) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			k.leave()
			return
		case <-k.wake:
			k.adopt(k.serves.Load())
		case <-timer.C:
		}
		if k.fleet != nil {
			timer.Reset(k.step(ctx))
		}
	}
}

// adopt takes over another configuration.
func (k *Keeper) adopt(f *compile.Fleet) {
	same := k.fleet != nil && f != nil && sameStore(&k.fleet.Store, &f.Store)
	if !same {
		k.leave()
		k.told, k.proxies, k.retryAt, k.retryIn, k.owed = false, 0, time.Time{}, 0, false
	}
	k.fleet = f
	k.opt.Metrics.SetConfigured(f != nil)
	if f == nil {
		return
	}
	k.decided = k.decisions()
	if k.store != nil {
		k.confine()
	} else {
		k.fallBack()
	}
}

// sameStore reports whether two descriptions lead to the same store by the same way.
func sameStore(a, b *compile.Store) bool { return reflect.DeepEqual(a, b) }

// leave says goodbye and closes the connection.
func (k *Keeper) leave() {
	if k.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	k.store.greet(ctx, k.name, 0) // without it, the others find out by themselves
	k.store.client.Close()
	k.store = nil
}

// step does what is due and returns how long there is nothing to do.
func (k *Keeper) step(ctx context.Context) time.Duration {
	now := time.Now()
	if k.store == nil {
		if wait := k.retryAt.Sub(now); wait > 0 {
			k.countFallbacks()
			return min(wait, meetEvery)
		}
		s, err := open(&k.fleet.Store)
		if err != nil {
			return k.away(ctx, err)
		}
		k.store = s
		if err := k.meet(ctx); err != nil {
			return k.away(ctx, err)
		}
		k.back()
	}
	if now.Sub(k.met) >= meetEvery {
		if err := k.meet(ctx); err != nil {
			return k.away(ctx, err)
		}
	}
	more, err := k.settle(ctx)
	if err != nil {
		return k.away(ctx, err)
	}
	if more {
		return 0
	}
	return max(k.fleet.Store.Lease-time.Since(now), 0)
}

// meet says that this proxy is there and learns how many are.
func (k *Keeper) meet(ctx context.Context) error {
	n, err := k.store.greet(ctx, k.name, gone)
	if err != nil {
		return err
	}
	k.met = time.Now()
	if n = max(n, 1); n != k.proxies {
		k.proxies = n
		k.opt.Metrics.SetProxies(n)
		k.confine()
	}
	return nil
}

// settle settles one batch and reports whether there is more. A key whose answer doesn't come
// is settled by what is spent of it next.
func (k *Keeper) settle(ctx context.Context) (more bool, err error) {
	asked := k.opt.Clock.Now()
	k.batch, k.from = k.batch[:0], k.from[:0]
	k.first++ // so that no limit always finds the batch full
	for i := range k.fleet.Limits {
		k.from = append(k.from, len(k.batch))
		k.batch = k.limit(i).Table.Collect(k.batch, asked, k.owed)
	}
	more = len(k.batch) == cap(k.batch)
	if !more {
		k.owed = false
	}
	k.opt.Metrics.SetLate(k.late())
	if len(k.batch) == 0 {
		return false, nil
	}
	k.putQuestions()
	answers, err := k.store.ask(ctx, k.ask)
	if err != nil {
		return false, err
	}
	k.opt.Metrics.Settled(len(answers))
	for i := range k.fleet.Limits {
		l := k.limit(i)
		for n := k.from[i]; n < k.end(i); n++ {
			l.Table.Settle(limit.Position{Spending: k.batch[n], Ahead: time.Duration(answers[n]) * time.Microsecond}, asked)
		}
	}
	return more, nil
}

// limit returns the limit whose keys stand i-th in the batch.
func (k *Keeper) limit(i int) *compile.SharedLimit {
	return &k.fleet.Limits[(k.first+i)%len(k.fleet.Limits)]
}

// end returns where the keys of the limit end that stand i-th in the batch.
func (k *Keeper) end(i int) int {
	if i+1 < len(k.from) {
		return k.from[i+1]
	}
	return len(k.batch)
}

func (k *Keeper) putQuestions() {
	k.ask = k.ask[:0]
	for i := range k.fleet.Limits {
		l := k.limit(i)
		most := worth(l.Rule, 2*l.Rule.Burst+debtIntervals) + l.Patience
		for _, s := range k.batch[k.from[i]:k.end(i)] {
			k.ask = append(k.ask, question{
				script: &k.store.settle, key: k.keyName(l.ID, s.Key), n: 3,
				args: [3]string{micros(worth(l.Rule, s.Requests)), micros(s.Age), micros(most)},
			})
		}
	}
}

func (k *Keeper) late() (n uint64) {
	for _, l := range k.fleet.Limits {
		n += l.Table.Late()
	}
	return n
}
