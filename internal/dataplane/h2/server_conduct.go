package h2

import "time"

// conduct counts what costs us and brings nobody anything: streams that are given up, frames
// without content. Work that is done earns some of it, and so does time, since honest clients
// give up streams, ask whether we live and open windows, too. Whoever has used up his is cut
// off.
type conduct struct {
	resets allowance
	frames allowance
	stalls allowance
}

// allowance is a number of times that grows back.
type allowance struct {
	left, max int64
	perSecond int64
	at        time.Duration // when it grew last
}

const (
	// resetsMin is how many streams a peer may give up at once; twice what it may have open
	// if that is more.
	resetsMin, resetsPerSecond = 100, 20
	// framesMax is how many frames without content a peer may send at once.
	framesMax, framesPerSecond = 2000, 500
	// framesPerData and bytesPerFrame are how many such frames one with content earns, when it
	// is sent: the peer opens windows and measures the line.
	framesPerData, bytesPerFrame = 3, 1 << 10
	// emptyFrames is what an empty DATA frame counts for: nobody has use for it.
	emptyFrames = 20
	// stallsMax is how many answers a peer may leave stuck.
	stallsMax = 8
)

func newConduct(now time.Duration, set *Settings) conduct {
	of := func(n, perSecond int64) allowance { return allowance{left: n, max: n, perSecond: perSecond, at: now} }
	return conduct{
		resets: of(max(resetsMin, 2*int64(set.StreamsMax)), resetsPerSecond),
		frames: of(framesMax, framesPerSecond),
		stalls: of(stallsMax, 0),
	}
}

// take reports whether n more are allowed.
func (a *allowance) take(n int64, now time.Duration) bool {
	if a.left < n {
		grown := int64((now - a.at).Seconds() * float64(a.perSecond))
		if grown > 0 {
			a.at = now
			a.earn(grown)
		}
	}
	a.left -= n
	return a.left >= 0
}

func (a *allowance) earn(n int64) { a.left = min(a.left+n, a.max) }

// reset counts a stream that the peer has given up or made us give up.
func (k *conduct) reset(c *conn) bool { return k.resets.take(1, c.now) }

// frame counts a frame without content.
func (k *conduct) frame(c *conn) bool { return k.frames.take(1, c.now) }

// empty counts an empty DATA frame.
func (k *conduct) empty(c *conn) bool { return k.frames.take(emptyFrames, c.now) }

// stalled counts an answer that is stuck. What that is counted by doesn't grow back.
func (k *conduct) stalled() bool { return k.stalls.take(1, 0) }

// completed is earned by a stream that was served to its end.
func (k *conduct) completed() {
	k.resets.earn(1)
	k.frames.earn(4)
}

// content is earned by a frame with content.
func (k *conduct) content() { k.frames.earn(1) }

// sent is earned by a frame with n bytes of content that the peer takes.
func (k *conduct) sent(n int) { k.frames.earn(framesPerData + int64(n)/bytesPerFrame) }
