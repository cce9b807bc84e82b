package netio

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Waiter{woken: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
		w.Wake()
		if start := time.Now(); !w.Wait(time.Minute) || time.Since(start) != 0 {
			t.Error("a wake-up that came before the wait must end it at once")
		}
		go func() { time.Sleep(time.Second); w.Wake() }()
		if start := time.Now(); !w.Wait(time.Minute) || time.Since(start) != time.Second {
			t.Errorf("the wait ended after %v, want 1s", time.Since(start))
		}
		if start := time.Now(); w.Wait(time.Minute) || time.Since(start) != time.Minute {
			t.Errorf("a wait that nobody ended took %v, want 1m", time.Since(start))
		}
	})
}

// A wake-up that comes too late must not end the wait of the next owner.
func TestWaiterFreeForgetsWake(t *testing.T) {
	for range 100 {
		w := NewWaiter()
		w.Wake()
		w.Free()
		if n := NewWaiter(); n.Wait(time.Microsecond) {
			t.Fatal("a waiter carried its wake-up over to the next owner")
		}
	}
}
