package metric

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A window is a ring of log-linear histograms, one per slice of time. Values
// are microseconds. Up to 31 each has its own counter; above, every octave is
// cut into 32 equal steps, so a value is known to within 1/32 of itself, and the
// middle of its step to within 1/64, which is 1.6 %. An octave's counters are
// one page, allocated when the first value falls into it: latencies of one
// upstream spread over few octaves, so a busy window takes about 12 KiB.
const (
	windowSlice  = 30 * time.Second
	windowShown  = 10              // slices that a scrape adds up: 5 minutes, counting the one being written
	windowRing   = windowShown + 1 // and one to wipe
	stepBits     = 5
	steps        = 1 << stepBits
	windowPages  = 24
	windowMicros = 1<<(windowPages+stepBits-1) - 1 // 268 s; longer counts as this
)

type (
	page   [steps]atomic.Uint32
	window [windowRing][windowPages]atomic.Pointer[page]
	// merged holds the counts of a window's shown slices.
	merged [windowPages * steps]uint64
)

// stepOf returns page and step of a value in microseconds.
func stepOf(micros int64) (int, int) {
	v := uint64(min(max(micros, 0), windowMicros))
	if v < steps {
		return 0, int(v)
	}
	shift := bits.Len64(v) - 1 - stepBits
	return shift + 1, int(v>>shift) & (steps - 1)
}

// middleOf returns the middle of a step in seconds, the inverse of stepOf.
func middleOf(page, step int) float64 {
	if page == 0 {
		return float64(step) / 1e6
	}
	width := float64(uint64(1) << (page - 1))
	return (float64(steps+step)*width + (width-1)/2) / 1e6
}

func (w *window) observe(epoch int64, d time.Duration) {
	p, s := stepOf(d.Microseconds())
	slot := &w[uint64(epoch)%windowRing][p]
	counts := slot.Load()
	if counts == nil {
		counts = firstOf(slot)
	}
	counts[s].Add(1)
}

func (w *window) wipe(epoch int64) {
	for p := range windowPages {
		if counts := w[uint64(epoch)%windowRing][p].Load(); counts != nil {
			for s := range counts {
				counts[s].Store(0)
			}
		}
	}
}

// merge adds up the shown slices at epoch and returns the number of values.
func (w *window) merge(epoch int64, m *merged) (n uint64) {
	for e := max(0, epoch-windowShown+1); e <= epoch; e++ {
		for p := range windowPages {
			counts := w[uint64(e)%windowRing][p].Load()
			if counts == nil {
				continue
			}
			for s := range counts {
				c := uint64(counts[s].Load())
				m[p*steps+s] += c
				n += c
			}
		}
	}
	return n
}

// quantile returns the q-quantile of n values in seconds, 0 when there are none.
func (m *merged) quantile(q float64, n uint64) float64 {
	rank := uint64(q*float64(n-min(n, 1))) + 1
	var seen uint64
	for i, c := range m {
		if seen += c; c > 0 && seen >= rank {
			return middleOf(i/steps, i%steps)
		}
	}
	return 0
}
