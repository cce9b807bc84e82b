package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sentinel/internal/observe/event"
)

const (
	requestBytesMax = 64 << 10
	reasonBytesMax  = 1000
	// drainSecondsMax bounds the end of a drain: a year.
	drainSecondsMax = 365 * 24 * 3600
)

// AddUpstreams lets the API show and drain u. It is called before Serve.
func (s *Server) AddUpstreams(u Upstreams) {
	s.upstreams = u
	s.read("GET /admin/upstreams", s.showUpstreams)
	s.operate("POST /admin/drain", s.drain)
}

func (s *Server) showUpstreams(w http.ResponseWriter, r *http.Request) {
	all := s.upstreams.Upstreams()
	if all == nil {
		all = []UpstreamStatus{}
	}
	if name := r.URL.Query().Get("name"); name != "" {
		u, problem := find(all, name)
		if problem != nil {
			refuse(w, problem)
			return
		}
		all = []UpstreamStatus{*u}
	}
	reply(w, http.StatusOK, all)
}

func find(all []UpstreamStatus, name string) (*UpstreamStatus, *Problem) {
	names := make([]string, len(all))
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
		names[i] = all[i].Name
	}
	return nil, unknown("upstream", name, names)
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	by, err := actorOf(r.Context())
	if err != nil {
		refuse(w, &Problem{Status: http.StatusForbidden, Message: "who asks isn't known: " + err.Error()})
		return
	}
	q, problem := readDrain(w, r)
	if problem == nil {
		problem = s.checkDrain(q)
	}
	if problem != nil {
		refuse(w, problem)
		return
	}
	result, err := s.upstreams.Drain(q, by)
	if err != nil {
		refuse(w, &Problem{Status: http.StatusConflict, Message: err.Error()})
		return
	}
	result.Upstream, result.Target, result.Drained, result.By = q.Upstream, q.Target, !q.Undo, by
	result.Undo = drainCommand(q.Upstream, q.Target, !q.Undo)
	if result.Changed {
		s.emitDrain(q, by, result.InProgress)
		result.Notes = append(result.Notes, s.whatIsLeft(q)...)
	}
	reply(w, http.StatusOK, result)
}

func readDrain(w http.ResponseWriter, r *http.Request) (q DrainRequest, _ *Problem) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestBytesMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return q, badRequest("not a drain request: %v", err)
	}
	switch {
	case q.Upstream == "":
		return q, badRequest("upstream is missing")
	case q.Undo && q.Seconds != 0:
		return q, badRequest("an undo has no end: leave out seconds")
	case q.Seconds < 0 || q.Seconds > drainSecondsMax:
		return q, badRequest("a drain lasts from 1 to %d seconds, or with 0 until it is undone, not %d", drainSecondsMax, q.Seconds)
	case len(q.Reason) > reasonBytesMax:
		return q, badRequest("reason has %d bytes, at most %d are kept", len(q.Reason), reasonBytesMax)
	}
	return q, nil
}

// checkDrain returns the problem of names that aren't known.
func (s *Server) checkDrain(q DrainRequest) *Problem {
	u, problem := find(s.upstreams.Upstreams(), q.Upstream)
	if problem != nil || q.Target == "" || u.Known(q.Target) {
		return problem
	}
	var names []string
	for _, t := range u.Targets {
		if !slices.Contains(names, t.Address) {
			names = append(names, t.Address)
		}
	}
	return unknown(fmt.Sprintf("target of upstream %q named", q.Upstream), q.Target, names)
}

func (s *Server) emitDrain(q DrainRequest, by Actor, inProgress int) {
	if s.events == nil {
		return
	}
	e := event.Event{Kind: event.KindDrain, Worse: !q.Undo, Upstream: q.Upstream, Target: q.Target, Cause: q.Reason, Detail: "asked by " + by.String()}
	switch {
	case q.Undo:
		e.From, e.To = TargetDrained, "serving"
	case inProgress == 0:
		e.From, e.To = "serving", TargetDrained
	default:
		e.From, e.To = "serving", TargetDraining
	}
	if e.Cause == "" {
		e.Cause = "no reason given"
	}
	s.events.Emit(e)
}

// whatIsLeft warns of an upstream that a drain has left without targets.
func (s *Server) whatIsLeft(q DrainRequest) []string {
	u, problem := find(s.upstreams.Upstreams(), q.Upstream)
	if problem != nil || q.Undo || u.Usable() > 0 {
		return nil
	}
	what := fmt.Sprintf("no target of upstream %q takes requests any more: ", u.Name)
	if len(u.Fallback) > 0 {
		return []string{what + "they go to " + strings.Join(quoteAll(u.Fallback), ", ") + " where the route says so"}
	}
	return []string{what + "they are answered with 503"}
}

// drainCommand returns the command line that drains, or undoes it.
func drainCommand(upstream, target string, undo bool) string {
	what := upstream
	if target != "" {
		what += "/" + target
	}
	command := "sentinel drain " + shellWord(what)
	if undo {
		command += " --undo"
	}
	return command
}

// shellWord returns s as one word of a shell (POSIX.1-2017, XCU 2.2).
func shellWord(s string) string {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/.:_-@%+=", r))
	}
	if s != "" && !strings.ContainsFunc(s, odd) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
