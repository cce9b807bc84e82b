package upstream

import (
	"sync/atomic"
	"time"
)

// spellCalm is how long what makes a spell must not have happened for it to be over.
const spellCalm = 10 * time.Second

// spell is a time in which something happens again and again, such as requests that find a
// queue full: its begin and its end are told, not every time it happens.
type spell struct {
	active atomic.Bool
	last   atomic.Int64 // when it last happened, on the clock
}

// again takes note of what makes the spell, and reports whether it is the begin of one.
func (s *spell) again(now time.Duration) (began bool) {
	s.last.Store(int64(now))
	return !s.active.Load() && !s.active.Swap(true)
}

// over reports whether a spell has just ended.
func (s *spell) over(now time.Duration) (ended bool) {
	return s.active.Load() && now-time.Duration(s.last.Load()) >= spellCalm && s.active.Swap(false)
}
