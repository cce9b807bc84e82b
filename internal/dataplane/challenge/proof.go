package challenge

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Zero bits that an answer's hash begins with. The package comment has the arithmetic.
const (
	DifficultyMin     = 8
	DifficultyMax     = 16
	DifficultyDefault = 12
)

// Difficulty returns the zero bits to ask for. It is base up to twice the threshold and one
// more with each doubling of the client's requests per minute, so that a request costs the
// same however many are sent; at most limit, and within DifficultyMin and DifficultyMax.
// Without a threshold there is no evidence, and it is base.
func Difficulty(base, limit, requestsPerMinute, threshold int) int {
	limit = min(max(limit, DifficultyMin), DifficultyMax)
	d := min(max(base, DifficultyMin), limit)
	if threshold > 0 && requestsPerMinute > threshold {
		d += bits.Len64(uint64(requestsPerMinute)/uint64(threshold)) - 1
	}
	return min(d, limit)
}

// solved reports whether n answers the seed whose bytes are in s.raw.
func (s *scratch) solved(n uint64, difficulty byte) bool {
	copy(s.hash[:], s.raw[:])
	binary.BigEndian.PutUint64(s.hash[rawLen:], n)
	sum := sha256.Sum256(s.hash[:])
	return bits.LeadingZeros64(binary.BigEndian.Uint64(sum[:])) >= int(difficulty)
}

// openSolved opens a seed that n answers: one MAC and one hash.
func (k *Keys) openSolved(seed []byte, n uint64, b binding) (v sealed, ok bool) {
	if len(seed) != TextLen {
		return sealed{}, false
	}
	s := k.scratch.Get().(*scratch)
	v, ok = k.openWith(s, seed, kindSeed, b)
	ok = ok && s.solved(n, v.detail)
	k.scratch.Put(s)
	if !ok {
		return sealed{}, false
	}
	return v, true
}

// Solve finds the number that answers a seed, as a browser does: 2^difficulty hashes in the
// mean. For clients in Go and for tests; ok is false when seed has no form of one.
func Solve(seed []byte) (n uint64, ok bool) {
	var s scratch
	if len(seed) != TextLen {
		return 0, false
	}
	got, err := alphabet.Decode(s.raw[:], seed)
	if err != nil || got != rawLen || s.raw[0] != byte(kindSeed) || s.raw[detailAt] > DifficultyMax {
		return 0, false
	}
	for !s.solved(n, s.raw[detailAt]) {
		n++
	}
	return n, true
}

// number reads an answer: 1 to 20 decimal digits below 2^64.
func number(text []byte) (n uint64, ok bool) {
	if len(text) == 0 || len(text) > 20 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		high, low := bits.Mul64(n, 10)
		sum, carry := bits.Add64(low, uint64(c-'0'), 0)
		if high != 0 || carry != 0 {
			return 0, false
		}
		n = sum
	}
	return n, true
}
