package fleet

import (
	"context"
	"strconv"
	"time"

	"sentinel/internal/dataplane/limit"
	"sentinel/internal/observe/event"
)

// away has every proxy count by itself, and returns how long the store is left alone.
func (k *Keeper) away(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil { // it is this proxy that goes
		return 0
	}
	if s := k.store; s != nil {
		k.store = nil
		k.tasks.Go(s.client.Close) // it may take a second
	}
	k.opt.Metrics.Failed(reasonOf(err))
	if !k.told {
		k.told = true
		k.opt.Metrics.SetUp(false)
		k.opt.Events.Emit(event.Event{Kind: event.KindStore, Worse: true, From: "up", To: "away", Cause: causeOf(err)})
		k.decided = k.decisions()
		k.fallBack()
	}
	k.retryIn = min(max(2*k.retryIn, retryFirst), retryMax)
	k.retryAt = time.Now().Add(k.retryIn)
	return k.retryIn
}

// back has the fleet count together again.
func (k *Keeper) back() {
	k.opt.Metrics.SetUp(true)
	k.retryIn, k.owed = 0, true
	from := "unknown"
	if k.told {
		from = "away"
		k.countFallbacks()
	}
	k.told = false
	k.opt.Events.Emit(event.Event{Kind: event.KindStore, From: from, To: "up", Cause: "it answers", Detail: "proxies that count together: " + strconv.Itoa(k.proxies)})
	k.confine()
}

// fallBack makes each limit hold in this proxy alone: its share of it, unless the whole is
// wanted. While the fleet isn't known, that is the whole.
func (k *Keeper) fallBack() {
	now := k.opt.Clock.Now()
	for _, l := range k.fleet.Limits {
		rule := l.Rule
		if n := int64(k.proxies); n > 1 && !k.fleet.Store.Whole {
			rule.Per, rule.Burst = rule.Per*time.Duration(n), divideUp(rule.Burst, n)
		}
		l.Table.Configure(rule, now)
		l.Table.SetFirstLease(0)
	}
}

// confine makes the limits hold for the fleet, with first leases for as many proxies as it
// has.
func (k *Keeper) confine() {
	now := k.opt.Clock.Now()
	for _, l := range k.fleet.Limits {
		l.Table.Configure(l.Rule, now)
		first := int64(0)
		if n := int64(k.proxies); n > 1 {
			first = divideUp(l.Rule.Burst, n)
		}
		l.Table.SetFirstLease(first)
	}
}

// countFallbacks counts what was decided without the store since that was last looked at.
func (k *Keeper) countFallbacks() {
	n := k.decisions()
	k.opt.Metrics.FellBack(n - min(n, k.decided))
	k.decided = n
}

func (k *Keeper) decisions() (n uint64) {
	for _, l := range k.fleet.Limits {
		n += l.Table.Allowed() + l.Table.Blocked()
	}
	return n
}

// keyName is the name of a key in the store.
func (k *Keeper) keyName(limit string, key uint64) string {
	return k.fleet.Store.Prefix + ":" + limit + ":" + strconv.FormatUint(key, 36)
}

// worth returns how long it takes to earn requests by a rule, at most a year.
func worth(r limit.Rule, requests int64) time.Duration {
	const most = 365 * 24 * time.Hour
	d := float64(requests) * (float64(r.Per) / float64(r.Requests))
	return time.Duration(min(d, float64(most)))
}

// micros writes a time as the scripts want it, rounded up.
func micros(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Microsecond-1)/time.Microsecond), 10)
}

func divideUp(a, b int64) int64 { return (a + b - 1) / b }
