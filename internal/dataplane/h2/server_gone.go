package h2

// Gone implements message.Departing.
func (s *stream) Gone() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.sendErr != nil
}

// OnGone implements message.Departing.
func (s *stream) OnGone(f func()) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.onGone = f
	if s.sendErr != nil {
		s.tellGoneLocked()
	}
}

// tellGoneLocked tells the exchange that nobody wants its answer any more.
func (s *stream) tellGoneLocked() {
	if f := s.onGone; f != nil {
		s.onGone = nil
		f()
	}
}

// Duplex implements message.Duplex.
func (s *stream) Duplex() {}
