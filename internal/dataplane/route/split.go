package route

import "math/bits"

// Split divides exchanges among values by weight. It never changes.
type Split[T any] struct {
	values []T
	ends   []uint64 // the slots of values[i] end before ends[i]
	stride uint64   // coprime to the number of slots
}

// NewSplit makes a Split of values with their weights, which may have any sum up to
// 1<<63. A weight of 0 or less is never picked.
func NewSplit[T any](values []T, weights []int) *Split[T] {
	s := &Split[T]{}
	slots := uint64(0)
	for i, v := range values {
		if weights[i] <= 0 {
			continue
		}
		slots += uint64(weights[i])
		s.values = append(s.values, v)
		s.ends = append(s.ends, slots)
	}
	s.stride = stride(slots)
	return s
}

// Pick returns the value for n, a counter, a hash or a random number. As many
// consecutive numbers as the weights add up to pick each value exactly as often as its
// weight says, well mixed. A Split in which no weight is above 0 picks the zero value.
func (s *Split[T]) Pick(n uint64) T {
	if len(s.ends) == 0 {
		var none T
		return none
	}
	slots := s.ends[len(s.ends)-1]
	// Stepping by a number coprime to slots visits each slot once.
	hi, lo := bits.Mul64(n%slots, s.stride)
	slot := bits.Rem64(hi, lo, slots)
	i := 0
	for slot >= s.ends[i] {
		i++
	}
	return s.values[i]
}

// Shares returns the values that are picked, with the part of all that each gets, 0 to 1.
func (s *Split[T]) Shares() (values []T, parts []float64) {
	before := uint64(0)
	for i, end := range s.ends {
		values = append(values, s.values[i])
		parts = append(parts, float64(end-before)/float64(s.ends[len(s.ends)-1]))
		before = end
	}
	return values, parts
}

// stride returns a number coprime to slots, near slots divided by the golden ratio so
// that neighbours land far apart.
func stride(slots uint64) uint64 {
	const golden = 0x9E3779B97F4A7C15 // 1<<64 divided by the golden ratio
	hi, _ := bits.Mul64(slots, golden)
	step := max(1, hi)
	for gcd(step, slots) > 1 {
		step++
	}
	return step
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
