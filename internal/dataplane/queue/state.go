package queue

// state is the word that Enter and Leave work on, from low to high: 32 bits of
// requests in progress, 31 bits of limit (0 is none), 1 bit that says somebody waits.
type state uint64

const (
	limitShift = 32
	limitMax   = 1<<31 - 1
	inProgress = 1<<limitShift - 1
	limitBits  = limitMax << limitShift
	waitingBit = 1 << 63
	minusOne   = 1<<64 - 1
)

func (s state) inProgress() uint64 { return uint64(s) & inProgress }

func (s state) limit() uint64 { return uint64(s) & limitBits >> limitShift }

func (s state) waiting() bool { return s&waitingBit != 0 }

// room reports whether one more may be in progress.
func (s state) room() bool { return s.limit() == 0 || s.inProgress() < s.limit() }

// open reports whether a newcomer may take a place.
func (s state) open() bool { return !s.waiting() && s.room() }

func (s state) withLimit(n int) state {
	return s&^limitBits | state(min(max(n, 0), limitMax))<<limitShift
}
