package h2

// sendWindow is how many bytes of content the peer lets us send (RFC 9113 section 5.2). It
// is below zero after the peer has made its windows smaller.
type sendWindow int64

// grow adds n and reports whether the window is still one.
func (w *sendWindow) grow(n int64) bool {
	*w += sendWindow(n)
	return *w <= windowMax
}

// receiveWindow is how many bytes of content we let the peer send.
type receiveWindow struct {
	size int64 // that we keep it at
	left int64 // that the peer may still send
	owed int64 // read here, and not yet given back
}

func newReceiveWindow(size int64) receiveWindow { return receiveWindow{size: size, left: size} }

// take notes n bytes that have come and reports whether the peer was allowed to send them.
func (w *receiveWindow) take(n int) bool {
	w.left -= int64(n)
	return w.left >= 0
}

// release notes n bytes that no longer take up memory. It returns by how much to enlarge the
// peer's window now; 0 while that is too little for a frame.
func (w *receiveWindow) release(n int) (update uint32) {
	w.owed += int64(n)
	if w.owed*2 < w.size {
		return 0
	}
	return w.flush()
}

// flush is release of what is owed, however little.
func (w *receiveWindow) flush() (update uint32) {
	update = uint32(w.owed)
	w.left += w.owed
	w.owed = 0
	return update
}
