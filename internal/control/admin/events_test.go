package admin

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"sentinel/internal/observe/event"
)

// eventServer serves the events of a log; end closes it as the end of the process would.
func eventServer(t *testing.T, change func(*Server)) (log *event.Log, c *Client, end func()) {
	t.Helper()
	log = event.New(1000, slog.New(slog.DiscardHandler))
	path := filepath.Join(t.TempDir(), "admin.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(&fakeProcess{}, Version{})
	s.AddEvents(log)
	if change != nil {
		change(s)
	}
	go s.Serve(ln)
	closed := false
	end = func() {
		if !closed {
			closed = true
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			s.Close(ctx)
		}
	}
	t.Cleanup(end)
	return log, NewClient(path, 5*time.Second), end
}

func TestEvents(t *testing.T) {
	log, c, _ := eventServer(t, nil)
	if list, err := c.Events(t.Context(), 0); err != nil || list == nil || len(list) != 0 {
		t.Errorf("Events(0) of none = %#v, %v, want an empty list", list, err)
	}
	log.Emit(event.Event{Kind: event.KindHealth, Upstream: "a", Worse: true})
	log.Emit(event.Event{Kind: event.KindQueue})
	list, err := c.Events(t.Context(), 0)
	if err != nil || len(list) != 2 || list[0].Upstream != "a" || !list[0].Worse || list[1].Seq != 2 {
		t.Errorf("Events(0) = %+v, %v, want both", list, err)
	}
	if list, err := c.Events(t.Context(), 1); err != nil || len(list) != 1 || list[0].Kind != event.KindQueue {
		t.Errorf("Events(1) = %+v, %v, want the second", list, err)
	}
}

var errEnough = errors.New("enough")

func TestFollow(t *testing.T) {
	log, c, _ := eventServer(t, nil)
	for range followBatch + 5 { // more than one batch is there already
		log.Emit(event.Event{Kind: event.KindHealth})
	}
	next := uint64(3)
	err := c.Follow(t.Context(), next-1, func(e event.Event) error {
		if e.Seq != next {
			t.Errorf("event %d came, want %d", e.Seq, next)
		}
		next++
		switch {
		case e.Seq == followBatch+8:
			return errEnough
		case e.Seq >= followBatch+5: // the rest come one by one, each when the last has been seen
			log.Emit(event.Event{Kind: event.KindHealth})
		}
		return nil
	})
	if err != errEnough {
		t.Errorf("Follow = %v, want what its function returned", err)
	}
}

// Following goes on for longer than the server gives a request to be read and an answer
// to be written.
func TestFollowOutlivesTimeouts(t *testing.T) {
	log, c, _ := eventServer(t, func(s *Server) { s.http.ReadTimeout, s.http.WriteTimeout = 20*time.Millisecond, 20*time.Millisecond })
	late := time.AfterFunc(100*time.Millisecond, func() { log.Emit(event.Event{Kind: event.KindHealth}) })
	defer late.Stop()
	if err := c.Follow(t.Context(), 0, func(event.Event) error { return errEnough }); err != errEnough {
		t.Errorf("Follow = %v, want the late event", err)
	}
}

func TestFollowEnds(t *testing.T) {
	log, c, end := eventServer(t, nil)
	log.Emit(event.Event{Kind: event.KindHealth})
	began := time.Now()
	err := c.Follow(t.Context(), 0, func(event.Event) error { end(); return nil })
	if !errors.Is(err, ErrNotRunning) || time.Since(began) > 4*time.Second {
		t.Errorf("Follow of a process that ends = %v after %v, want ErrNotRunning at once", err, time.Since(began))
	}

	log, c, _ = eventServer(t, nil)
	log.Emit(event.Event{Kind: event.KindHealth})
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Follow(ctx, 0, func(event.Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Follow whose context ends = %v", err)
	}
}

func TestFollowersAreBounded(t *testing.T) {
	_, c, _ := eventServer(t, func(s *Server) { s.followers.Store(followersMax) })
	var p *Problem
	if err := c.Follow(t.Context(), 0, func(event.Event) error { return nil }); !errors.As(err, &p) || p.Status != 503 {
		t.Errorf("Follow when too many do = %v, want 503", err)
	}
	// The one refused has left the count as it was.
	log, c, _ := eventServer(t, func(s *Server) { s.followers.Store(followersMax - 1) })
	log.Emit(event.Event{Kind: event.KindHealth})
	if err := c.Follow(t.Context(), 0, func(event.Event) error { return errEnough }); err != errEnough {
		t.Errorf("Follow when one more may = %v", err)
	}
}
