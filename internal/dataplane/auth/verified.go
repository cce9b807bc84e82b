package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	// shards is how many locks a cache is spread over.
	shards = 16
	// ways is how many places a digest may be in.
	ways = 8
)

// Digest is the keyed hash of credentials.
type Digest [sha256.Size]byte

// Verified remembers credentials that were found right, by a keyed hash and for a while. Its
// memory is bounded: what would be kept beyond replaces what ends first.
type Verified[V any] struct {
	key    [32]byte
	shards [shards]shard[V]
}

type shard[V any] struct {
	mu      sync.Mutex
	entries []entry[V] // sets of ways
}

type entry[V any] struct {
	digest Digest
	until  time.Duration // on the clock; 0 is an empty place
	value  V
}

// NewVerified returns an empty memory for about that many credentials; for none it remembers
// nothing.
func NewVerified[V any](entries int) *Verified[V] {
	v := &Verified[V]{}
	rand.Read(v.key[:]) // never fails
	perShard := (entries + shards*ways - 1) / (shards * ways) * ways
	for i := range v.shards {
		v.shards[i].entries = make([]entry[V], perShard)
	}
	return v
}

// digestBytesMax bounds what can be digested without an allocation.
const digestBytesMax = 2048

// Digest returns the hash of credentials in two parts, either of which may be empty.
func (v *Verified[V]) Digest(a, b []byte) Digest {
	var room [32 + 8 + digestBytesMax]byte
	buf := append(room[:0], v.key[:]...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(len(a)))
	buf = append(buf, a...)
	buf = append(buf, b...)
	return sha256.Sum256(buf)
}

// set returns the shard and the places of a digest.
func (v *Verified[V]) set(d *Digest) (*shard[V], []entry[V]) {
	h := binary.LittleEndian.Uint64(d[:])
	s := &v.shards[h%shards]
	n := uint64(len(s.entries) / ways)
	if n == 0 {
		return s, nil
	}
	at := h / shards % n * ways
	return s, s.entries[at : at+ways]
}

// Find returns what was remembered of credentials that are still good at now.
func (v *Verified[V]) Find(d Digest, now time.Duration) (value V, ok bool) {
	s, places := v.set(&d)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range places {
		if e := &places[i]; e.digest == d && e.until > now {
			return e.value, true
		}
	}
	return value, false
}

// Remember keeps credentials until a time on the clock.
func (v *Verified[V]) Remember(d Digest, until time.Duration, value V) {
	s, places := v.set(&d)
	if len(places) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := 0
	for i := range places {
		if places[i].digest == d {
			at = i
			break
		}
		if places[i].until < places[at].until {
			at = i
		}
	}
	places[at] = entry[V]{d, until, value}
}
