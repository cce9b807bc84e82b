package netio

// Verdict is what a turn says of what comes next.
type Verdict uint8

// The verdicts of a turn.
const (
	Park  Verdict = iota // wait for more bytes, then take another turn
	Leave                // stop taking turns
)

// Turns calls turn at once and then whenever bytes may be there, until it says Leave.
// A turn reads by TryRead only: it must read until a read comes back short, and it may
// not call Read, since Turns holds the reading side. Waits on other connections and
// writes on this one are free to it.
//
// It returns nil after Leave, else why waiting ended: ErrTimeout or ErrInterrupted.
func (c *Conn) Turns(turn func() Verdict) error {
	if c.tcp == nil {
		for turn() != Leave {
		}
		return nil
	}
	c.turn = turn
	if c.onTurn == nil {
		c.onTurn = c.turnReady
	}
	for {
		c.verdict = Park
		err := c.raw.Read(c.onTurn)
		c.waitingSince.Store(0)
		if err == nil || c.verdict == Leave {
			return nil
		}
		if err = c.woken(&c.read, err); err != nil {
			return err
		}
	}
}

// turnReady runs inside the callback of RawConn.Read: true ends it, false waits.
func (c *Conn) turnReady(uintptr) bool {
	c.waitingSince.Store(0)
	c.verdict = c.turn()
	for c.verdict == Park && c.beneath != nil && c.beneath.unseen { // no edge tells of it
		c.verdict = c.turn()
	}
	return c.verdict == Leave
}

// Waiting tells the clock that the peer owes nothing: this turn ends with Park between
// two requests. The clock then looks once whether a FIN has come unseen.
func (c *Conn) Waiting(now int64) {
	c.waitingSince.Store(now)
	if at := now + int64(verifyAfter); at < c.wheel.armed.Load() {
		c.clock.arm(c, at)
	}
}

// writeThenRead is the state of one WriteThenRead call.
type writeThenRead struct {
	out     []byte
	into    Room
	written int
	n       int
	wrote   bool
	err     error
}

// Room gives the memory for an answer when it is there, so that a wait holds none.
type Room interface {
	// Room returns the buffer to read into, the same one until it is used up.
	Room() []byte
}

// WriteThenRead writes all of out and waits for the first bytes of the answer, which it
// reads into the room there is. written tells how much of out went out. It may be called only where the
// peer sends nothing before it has got out: bytes that lie there already are still seen,
// a FIN that does is not (see Alive).
func (c *Conn) WriteThenRead(out []byte, into Room) (written, n int, err error) {
	if c.tcp == nil {
		if written, err = c.Write(out); err == nil {
			n, err = c.Read(into.Room())
		}
		return written, n, err
	}
	if c.onPair == nil {
		c.onPair = c.pairReady
	}
	p := &c.pair
	*p = writeThenRead{out: out, into: into}
	for {
		err = c.raw.Read(c.onPair)
		if err == nil {
			written, n, err = p.written, p.n, p.err
			break
		}
		if err = c.woken(&c.read, err); err != nil {
			written = p.written
			break
		}
	}
	*p = writeThenRead{}
	return written, n, err
}

// pairReady writes on its first call, inside the armed callback, and reads on the later
// ones. After a wake-up that was none it tries to read first.
func (c *Conn) pairReady(uintptr) bool {
	p := &c.pair
	if !p.wrote {
		p.wrote = true
		if p.written, p.err = c.Write(p.out); p.err != nil {
			return true
		}
		return false
	}
	p.n, p.err = c.TryRead(p.into.Room())
	if p.err == ErrAgain {
		p.err = nil
		return false
	}
	return true
}
