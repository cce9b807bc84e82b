package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// Load is what is known of how busy one member is; it outlives rebuilds and reloads. The
// zero value is an idle member of which nothing is known. Methods are safe for any
// goroutine and allocate nothing.
//
// It is 16 bytes without pointers, so that those of an upstream, made one after the other
// by new, lie in a row and a look at all of them touches few cache lines. Don't embed it in
// a larger struct.
type Load struct {
	inFlight atomic.Int64
	estimate atomic.Uint64 // see estimate
}

// An estimate is a latency with the time of its last change, in one word: the bits of a
// float32 in nanoseconds above, units of 2^20 ns (about a millisecond) of the clock below.
// 0 means that there is none.
//
// The bits of a positive float32 are its logarithm to base 2, scaled by 2^23, but for the
// mantissa that is linear between powers of two. So a value halves every halfLife units by
// subtracting age<<decayShift from its bits: no exponential per member and look, at an
// error of at most 6 %.
type estimate uint64

const (
	unitShift  = 20 // a unit of time is 2^20 ns
	halfLife   = 1 << 12
	decayShift = 23 - 12       // 2^23 / halfLife as a shift
	staleAge   = 4 * halfLife  // about 17 s
	futureAge  = 1<<32 - 1<<16 // ages from here on are of stamps ahead of now

	unknownLatency = float32(time.Second)      // of a busy member that never answered
	failedLatency  = float32(10 * time.Second) // failures alone don't raise an estimate further

	unknownBits = 0x4e6e6b28 // of unknownLatency
	idleBits    = 0x3f800000 // of 1 ns, for an idle member that nothing is known of
)

func unitOf(now time.Duration) uint32 { return uint32(now >> unitShift) }

// age returns how many units ago the estimate changed. Goroutines read the clock at
// different times, so a stamp may lie ahead of now a little; that is age 0.
func (e estimate) age(unit uint32) uint32 {
	age := unit - uint32(e)
	if age >= futureAge {
		return 0
	}
	return age
}

// decayed returns the latency after age units without a sample, in nanoseconds.
func (e estimate) decayed(age uint32) float32 {
	bits := int64(e>>32) - int64(age)<<decayShift
	return math.Float32frombits(uint32(max(bits, 0)))
}

// with returns the estimate after a sample: a rise counts at once, a fall pulls the value
// down by the time since the last one, so of falls within one unit only the first counts.
func (e estimate) with(sample float32, failed bool, unit uint32) estimate {
	value := e.decayed(e.age(unit))
	switch {
	case failed && e == 0:
		value = max(sample, unknownLatency)
	case failed:
		value = max(sample, value, min(value*2, failedLatency))
	case e == 0:
		value = sample
	default:
		// Of the old value what is left after its age, of the sample the rest.
		value += sample * (1 - value/e.decayed(0))
		value = max(value, sample)
	}
	next := estimate(math.Float32bits(max(value, 1)))<<32 | estimate(unit)
	if next>>32 == e>>32 && e.age(unit) == 0 {
		return e
	}
	return next
}

// Begin counts a request that was handed to the member.
func (l *Load) Begin(time.Duration) { l.inFlight.Add(1) }

// End counts the end of a request. latency is from handing it over to the response head.
// failed means that there was no response: latency may then be a penalty, it never lowers
// the estimate, and the estimate at least doubles, so that a member that fails quickly
// doesn't look quick.
func (l *Load) End(now, latency time.Duration, failed bool) {
	l.inFlight.Add(-1)
	unit, sample := unitOf(now), float32(max(latency, 1))
	for {
		old := estimate(l.estimate.Load())
		next := old.with(sample, failed, unit)
		if next == old || l.estimate.CompareAndSwap(uint64(old), uint64(next)) {
			return
		}
	}
}

// InFlight returns the number of requests that began and haven't ended.
func (l *Load) InFlight() int64 { return l.inFlight.Load() }

// Latency returns the peak-sensitive moving average of latencies (peak EWMA): a rise counts
// at once, a fall and time without samples halve the distance every 4.3 s. 0 without samples.
func (l *Load) Latency(now time.Duration) time.Duration {
	e := estimate(l.estimate.Load())
	return time.Duration(e.decayed(e.age(unitOf(now))))
}

// costLatency returns the latency that a choice reckons with, in nanoseconds.
func (l *Load) costLatency(unit uint32, inFlight int64) float32 {
	e := estimate(l.estimate.Load())
	if e.stale(unit) {
		return math.Float32frombits(e.staleBits(unit, inFlight))
	}
	return math.Float32frombits(e.freshBits(unit))
}

// stale reports whether nothing was heard of a member for long, or its stamp is ahead of now.
func (e estimate) stale(unit uint32) bool { return unit-uint32(e) >= staleAge || e>>32 == 0 }

// freshBits returns the bits of the decayed latency of a member that isn't stale. The least
// estimate, 1 ns, has enough of them for staleAge.
func (e estimate) freshBits(unit uint32) uint32 {
	return uint32(e>>32) - (unit-uint32(e))<<decayShift
}

// staleBits returns the bits of the latency of a stale member. It is tried by one request:
// idle, it looks instant; busy, it looks as slow as it last was.
func (e estimate) staleBits(unit uint32, inFlight int64) uint32 {
	switch {
	case e == 0 && inFlight > 0:
		return unknownBits
	case inFlight <= 0 && unit-uint32(e) < futureAge:
		return idleBits
	}
	return uint32(e >> 32)
}
