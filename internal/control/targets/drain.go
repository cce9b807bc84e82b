package targets

import (
	"cmp"
	"slices"
	"time"

	"sentinel/internal/config/compile"
	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

// drainKey names what is drained; target is empty for a whole upstream.
type drainKey struct{ upstream, target string }

// drain is a wish of an operator. It outlives reloads.
type drain struct {
	by      admin.Actor
	reason  string
	until   time.Time // when it ends by itself, by the time of day; zero: when it is undone
	settled bool      // its last request has left, and that was told
}

// Drain implements admin.Upstreams.
func (k *Keeper) Drain(q admin.DrainRequest, by admin.Actor) (admin.DrainResult, error) {
	name, target, undo := q.Upstream, q.Target, q.Undo
	key, until := drainKey{name, target}, time.Time{}
	if q.Seconds > 0 {
		until = time.Now().Round(0).Add(time.Duration(q.Seconds) * time.Second)
	}
	k.mu.Lock()
	old, before := k.mu.drains[key]
	if undo {
		delete(k.mu.drains, key)
		if target == "" { // the whole upstream is in again, its targets too
			for other := range k.mu.drains {
				if other.upstream == name {
					delete(k.mu.drains, other)
					before = true
				}
			}
		}
	} else if !before {
		k.mu.drains[key] = &drain{by: by, reason: q.Reason, until: until, settled: k.inProgress(key) == 0}
	} else if q.Seconds > 0 {
		k.mu.drains[key] = &drain{by: by, reason: cmp.Or(q.Reason, old.reason), until: until, settled: old.settled}
	} else {
		until = old.until
	}
	_, whole := k.mu.drains[drainKey{upstream: name}]
	k.mu.Unlock()
	if before && !undo && q.Seconds > 0 {
		k.opt.Events.Emit(event.Event{
			Kind: event.KindDrain, Upstream: name, Target: target, From: admin.TargetDrained, To: admin.TargetDrained,
			Cause: "it has another end: " + until.UTC().Format(time.RFC3339), Detail: "asked by " + by.String(),
		})
	}
	k.applyDrains()
	r := admin.DrainResult{Changed: before == undo, InProgress: k.inProgress(key), Until: until, Notes: k.drainsSaved()}
	if undo && target != "" && whole {
		r.Notes = append(r.Notes, "upstream "+name+" is drained as a whole, the target with it")
	}
	if !undo {
		r.Notes = append(r.Notes, k.left(name)...)
	}
	return r, nil
}

// left says what is left of an upstream that something was drained of.
func (k *Keeper) left(name string) []string {
	for _, u := range k.live.Upstreams() {
		if u.Name == name && !u.Usable() {
			return []string{"upstream " + name + " has no target left: its requests go to the fallback or are answered 503"}
		}
	}
	return nil
}

// applyDrains makes the endpoints what the drains want.
func (k *Keeper) applyDrains() {
	now := k.opt.Clock.Now()
	k.mu.Lock()
	drains := make(map[drainKey]bool, len(k.mu.drains))
	for key := range k.mu.drains {
		drains[key] = true
	}
	k.mu.Unlock()
	for _, e := range k.live.Endpoints() {
		name := e.Upstream.Name
		want := drains[drainKey{name, ""}] || drains[drainKey{name, e.Address}] || drains[drainKey{name, e.Dial}]
		if want != e.Drained() {
			e.SetDrained(want, now)
			e.Upstream.Refresh(now)
		}
	}
}

func covers(key drainKey, e compile.Endpoint) bool {
	return e.Upstream.Name == key.upstream && (key.target == "" || key.target == e.Address || key.target == e.Dial)
}

// inProgress returns how many requests the targets of a drain still serve.
func (k *Keeper) inProgress(key drainKey) (n int) {
	for _, e := range k.live.Endpoints() {
		if covers(key, e) {
			n += int(e.Load.InFlight())
		}
	}
	return n
}

// watchDrains tells when the last request of a drain has left.
func (k *Keeper) watchDrains() {
	k.mu.Lock()
	var open []drainKey
	for key, d := range k.mu.drains {
		if !d.settled {
			open = append(open, key)
		}
	}
	k.mu.Unlock()
	for _, key := range open {
		if k.inProgress(key) > 0 || !k.settleDrain(key) {
			continue
		}
		k.opt.Events.Emit(event.Event{
			Kind: event.KindDrain, Upstream: key.upstream, Target: key.target,
			From: "draining", To: "drained", Cause: "its last request has ended",
		})
	}
}

func (k *Keeper) settleDrain(key drainKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.mu.drains[key]
	if d == nil || d.settled {
		return false
	}
	d.settled = true
	return true
}

// drained reports whether an upstream is drained as a whole, and who wants that of a target.
func (k *Keeper) drained(name string, e *compile.Endpoint) (whole bool, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := []drainKey{{name, ""}}
	if e != nil {
		keys = append(keys, drainKey{name, e.Address}, drainKey{name, e.Dial})
	}
	_, whole = k.mu.drains[keys[0]]
	i := slices.IndexFunc(keys, func(key drainKey) bool { return k.mu.drains[key] != nil })
	if i < 0 {
		return whole, ""
	}
	d := k.mu.drains[keys[i]]
	why = "drained by " + d.by.String()
	if !d.until.IsZero() {
		why += " until " + d.until.UTC().Format(time.RFC3339)
	}
	if d.reason != "" {
		why += ": " + d.reason
	}
	return whole, why
}
