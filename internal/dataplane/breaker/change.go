package breaker

import (
	"math"
	"slices"
	"time"
)

// trip opens the breaker unless that generation is over.
func (b *Breaker) trip(epoch uint32, now time.Duration, cause string) {
	b.mu.Lock()
	if uint32(b.word.Load()) == epoch {
		b.changeLocked(Open, now, cause)
	}
	b.unlockAndTell()
}

// advanceLocked notices what time or a Configure has changed.
func (b *Breaker) advanceLocked(now time.Duration) {
	state, r := stateOf(b.word.Load()), b.rules.Load()
	switch {
	case state == Closed:
	case r.off:
		b.changeLocked(Closed, now, "nothing opens it any more")
	case state == Open && now >= b.mu.since+r.Timeout:
		b.changeLocked(HalfOpen, now, "its time was over")
	case state == Open:
		b.retryAt.Store(int64(b.mu.since + r.Timeout))
	}
}

// takeLocked gives a Pass where the state at now has one.
func (b *Breaker) takeLocked(now time.Duration) (Pass, bool) {
	b.advanceLocked(now)
	word := b.word.Load()
	if stateOf(word) == Closed {
		return Pass{epoch: uint32(word)}, true
	}
	i := b.freeSlotLocked(now)
	if i < 0 {
		return Pass{}, false
	}
	b.mu.lastTrial = max(b.mu.lastTrial+1, 1)
	b.mu.slots[i] = slot{trial: b.mu.lastTrial, taken: now}
	b.freeSlotLocked(now) // for retryAt
	return Pass{epoch: uint32(word), slot: uint32(i), trial: b.mu.lastTrial}, true
}

// freeSlotLocked returns the index of a slot for one more trial, or -1 when the breaker is
// open or as many trials as may be are under way, and sets when to look again. A trial that
// hasn't come back within the timeout has lost its slot: a half-open breaker can't be stuck.
func (b *Breaker) freeSlotLocked(now time.Duration) int {
	if stateOf(b.word.Load()) != HalfOpen {
		return -1
	}
	r := b.rules.Load()
	free, held, next := -1, 0, time.Duration(math.MaxInt64)
	for i := range b.mu.slots {
		s := &b.mu.slots[i]
		if s.trial != 0 && now >= s.taken+r.Timeout {
			*s = slot{}
		}
		if s.trial == 0 {
			free = i
			continue
		}
		held++
		next = min(next, s.taken+r.Timeout)
	}
	if held >= r.HalfOpenMax {
		b.retryAt.Store(int64(next))
		return -1
	}
	b.retryAt.Store(0)
	if free < 0 {
		free = len(b.mu.slots)
		b.mu.slots = append(b.mu.slots, slot{})
	}
	return free
}

// doneTrial takes the result of a trial. One that comes back too late to have kept its slot
// still counts.
func (b *Breaker) doneTrial(p Pass, now, took time.Duration, o Outcome) {
	b.mu.Lock()
	if uint32(b.word.Load()) == p.epoch {
		b.doneTrialLocked(p, now, took, o)
	}
	b.unlockAndTell()
}

func (b *Breaker) doneTrialLocked(p Pass, now, took time.Duration, o Outcome) {
	if s := &b.mu.slots[p.slot]; s.trial == p.trial {
		*s = slot{}
		b.retryAt.Store(0)
	}
	r := b.rules.Load()
	switch {
	case o == Ignored || r.off: // with nothing on, the next call closes it
	case o == Failure:
		b.changeLocked(Open, now, "a trial failed")
	case r.isSlow(took):
		b.changeLocked(Open, now, "a trial was slow")
	default:
		b.mu.successes++
		if b.mu.successes >= r.SuccessThreshold {
			b.changeLocked(Closed, now, "trials succeeded")
		}
	}
}

// changeLocked begins a new generation in state to.
func (b *Breaker) changeLocked(to State, now time.Duration, cause string) {
	word, r := b.word.Load(), b.rules.Load()
	c := Change{From: stateOf(word), To: to, Cause: cause, At: now}
	b.mu.since, b.mu.cause, b.mu.successes = now, cause, 0
	clear(b.mu.slots)
	b.retryAt.Store(0)
	switch {
	case to == Open:
		c.Until = now + r.Timeout
		b.retryAt.Store(int64(c.Until))
	case to == Closed && r.window != nil:
		r.window.clear()
	}
	generation := uint32(word)>>2 + 1
	b.word.Store(uint64(generation<<2 | uint32(to)))
	if b.onChange != nil {
		b.mu.untold = append(b.mu.untold, c)
	}
}

// unlockAndTell releases the mutex and tells what hasn't been told. One goroutine tells at a
// time, so that changes are told in order; others leave theirs to it.
func (b *Breaker) unlockAndTell() {
	defer b.mu.Unlock()
	for !b.mu.telling && len(b.mu.untold) > 0 {
		c := b.mu.untold[0]
		b.mu.untold = slices.Delete(b.mu.untold, 0, 1)
		b.tellUnlocked(c)
	}
}

// tellUnlocked releases the mutex while it tells c, and holds it again even if that panics.
func (b *Breaker) tellUnlocked(c Change) {
	b.mu.telling = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.mu.telling = false
	}()
	b.onChange(c)
}
