package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"sentinel/internal/observe/event"
)

const (
	// followersMax bounds those who follow events at a time.
	followersMax = 64
	// followBatch is how many events are written at a time.
	followBatch = 256
)

// Events is what the API shows of events; *event.Log is one. Its methods are called from
// any goroutine.
type Events interface {
	Since(seq uint64, limit int) []event.Event
	Wait(ctx context.Context, seq uint64) error
	Emit(e event.Event)
}

// AddEvents lets the API show e, and tell it of drains. It is called before Serve.
func (s *Server) AddEvents(e Events) {
	s.events = e
	s.read("GET /admin/events", s.showEvents)
}

func (s *Server) showEvents(w http.ResponseWriter, r *http.Request) {
	since, follow, problem := readEventsQuery(r)
	switch {
	case problem != nil:
		refuse(w, problem)
	case !follow:
		reply(w, http.StatusOK, s.events.Since(since, 0))
	default:
		s.follow(w, r, since)
	}
}

func readEventsQuery(r *http.Request) (since uint64, follow bool, _ *Problem) {
	query := r.URL.Query()
	var err error
	if text := query.Get("since"); text != "" {
		if since, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, false, badRequest("since %q is no number of an event", text)
		}
	}
	if text := query.Get("follow"); text != "" {
		if follow, err = strconv.ParseBool(text); err != nil {
			return 0, false, badRequest("follow %q is neither 1 nor 0", text)
		}
	}
	return since, follow, nil
}

// follow writes a line for each event after since as they come, until the client or the
// server goes.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, since uint64) {
	if s.followers.Add(1) > followersMax {
		s.followers.Add(-1)
		refuse(w, &Problem{Status: http.StatusServiceUnavailable, Message: "too many follow the events already"})
		return
	}
	defer s.followers.Add(-1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()

	answer := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	lines := json.NewEncoder(w)
	for {
		list := s.events.Since(since, followBatch)
		answer.SetWriteDeadline(time.Now().Add(writeTimeout))
		for _, e := range list {
			lines.Encode(e) // the error is that of Flush
			since = e.Seq
		}
		if answer.Flush() != nil {
			return
		}
		if len(list) < followBatch && s.events.Wait(ctx, since) != nil {
			answer.SetWriteDeadline(time.Now().Add(writeTimeout))
			return
		}
	}
}
