package queue

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/netio"
)

// leaver is somebody who waits, and may go.
type leaver struct{ gone atomic.Bool }

func (l *leaver) Gone() bool { return l.gone.Load() }

func TestEnterFor(t *testing.T) {
	const wait = 5 * time.Second
	for _, test := range []struct {
		name  string
		goes  time.Duration // 0: stays
		place time.Duration // when one is free; 0: never
		want  error
		after time.Duration
	}{
		{"goes at once", time.Millisecond, 0, ErrGone, netio.GoneAfter},
		{"goes later", time.Second, 0, ErrGone, netio.GoneAfter + netio.LookAgain},
		{"stays", 0, 0, fault.QueueTimeout, wait},
		{"stays and gets a place", 0, 3 * time.Second, nil, 3 * time.Second},
		{"has gone, but the place is first", 100 * time.Millisecond, 200 * time.Millisecond, nil, 200 * time.Millisecond},
	} {
		emptyPools()
		synctest.Test(t, func(t *testing.T) {
			g := NewGate(Limits{Concurrent: 1, Pending: 1, Wait: wait}, nil)
			g.Enter(0, 0, Normal)
			var who leaver
			if test.goes > 0 {
				time.AfterFunc(test.goes, func() { who.gone.Store(true) })
			}
			if test.place > 0 {
				time.AfterFunc(test.place, g.Leave)
			}
			began := time.Now()
			waited, err := g.EnterFor(&who, 0, 0, Normal)
			if took := time.Since(began); !waited || err != test.want || took != test.after {
				t.Errorf("%s: EnterFor = %v, %v after %v, want %v after %v", test.name, waited, err, took, test.want, test.after)
			}
			if got := g.Refused().Gone == 1; got != (test.want == ErrGone) {
				t.Errorf("%s: counted as gone: %v", test.name, got)
			}
			if err == nil {
				g.Leave()
			}
			if g.Pending() != 0 {
				t.Errorf("%s: %d wait", test.name, g.Pending())
			}
		})
	}
	emptyPools()
}
