package balance

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// State is what the policies of one upstream hand on from rebuild to rebuild: whose turn it
// is, and the random numbers. The zero value is ready. It must not be copied.
type State struct {
	_      [64]byte // a cache line apart from what lies before
	turn   atomic.Uint64
	random atomic.Uint64
	_      [48]byte
}

// seed makes the random numbers of each process and upstream others. An earlier seed stays.
func (s *State) seed() { s.random.CompareAndSwap(0, rand.Uint64()|1) }

// golden is 2^64 over the golden ratio: steps by it fill the circle evenly.
const golden = 0x9e3779b97f4a7c15

// next returns a random number.
func (s *State) next() uint64 { return mix(s.random.Add(golden)) }

// mix spreads each bit of x over all of the result (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below returns a number in [0, n) that follows the upper half of random.
func below(random uint64, n int) int {
	at, _ := bits.Mul64(random&^math.MaxUint32, uint64(n))
	return int(at)
}

// exponential turns a hash into a lot, a number of the exponential distribution of mean 1: the
// same hash, the same lot. Lots are what makes choices fair: of lots divided by weights, each
// is the lowest with its weight's chance. It is -ln(u) of the hash
// as u in (0, 1], within 0.2 %, by a polynomial over the mantissa that is exact at powers of
// two and close to u = 1, where the winners are.
func exponential(hash uint64) float64 {
	const mantissa = 1<<52 - 1
	b := math.Float64bits(float64(int64(hash>>11 | 1))) // u * 2^53
	whole := float64(int64(1023+52) - int64(b>>52))
	x := math.Float64frombits(b&mantissa|1023<<52) - 1 // u = (1+x) * 2^(-1-whole)
	q := 0.442695 + x*(-0.2474+x*0.0834)
	return math.Ln2 * (whole + (1-x)*(1-x*q))
}
