package auth

import (
	"sync/atomic"
	"time"
)

// Source is where the keys for tokens are found. Keys that are fetched come and go while
// requests are served; who has none refuses every token.
type Source struct {
	current atomic.Pointer[KeySet]
	unknown atomic.Pointer[func()]
}

// NewSource returns a source of keys that are there, or, with nil, of none yet.
func NewSource(keys *KeySet) *Source {
	s := &Source{}
	s.Set(keys)
	return s
}

// Keys returns the keys; nil while there are none.
func (s *Source) Keys() *KeySet { return s.current.Load() }

// Set replaces the keys; nil takes them away. What was verified by others is verified anew.
func (s *Source) Set(k *KeySet) { s.current.Store(k) }

// OnUnknown has f called, which must not wait, when a token names a key that isn't there.
func (s *Source) OnUnknown(f func()) { s.unknown.Store(&f) }

func (s *Source) tellUnknown() {
	if f := s.unknown.Load(); f != nil {
		(*f)()
	}
}

// Feed is a source whose keys are fetched from a server.
type Feed struct {
	*Source
	URL     string
	Name    string        // the URL without what may be secret in it
	Refresh time.Duration // between two fetches
	Timeout time.Duration // of one fetch
}
