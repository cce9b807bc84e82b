package queue

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is a gate as one would write it without thought for speed: waiters in one slice,
// sorted by priority and arrival.
type model struct {
	limits Limits
	inside int
	line   []modelWaiter
	ended  []string
}

type modelWaiter struct {
	name     string
	priority Priority
	until    time.Duration // 0 is never
	late     string
}

func (m *model) enter(name string, now, deadline time.Duration, p Priority) {
	w := modelWaiter{name: name, priority: p}
	if m.limits.Wait > 0 {
		w.until, w.late = now+m.limits.Wait, ":timeout"
	}
	if deadline != 0 && (w.until == 0 || deadline < w.until) {
		w.until, w.late = deadline, ":deadline"
	}
	switch {
	case len(m.line) == 0 && (m.limits.Concurrent <= 0 || m.inside < m.limits.Concurrent):
		m.inside++
		m.ended = append(m.ended, name)
		return
	case deadline != 0 && deadline <= now:
		m.ended = append(m.ended, name+":deadline")
		return
	case m.limits.Pending <= 0:
		m.ended = append(m.ended, name+":limit")
		return
	case len(m.line) >= m.limits.Pending:
		last := len(m.line) - 1 // the newest of the lowest priority
		if m.line[last].priority >= p {
			m.ended = append(m.ended, name+":full")
			return
		}
		m.ended = append(m.ended, m.line[last].name+":full")
		m.line = m.line[:last]
	}
	at := 0
	for at < len(m.line) && m.line[at].priority >= p {
		at++
	}
	m.line = slices.Insert(m.line, at, w)
}

func (m *model) grant() {
	for len(m.line) > 0 && (m.limits.Concurrent <= 0 || m.inside < m.limits.Concurrent) {
		m.inside++
		m.ended = append(m.ended, m.line[0].name)
		m.line = m.line[1:]
	}
}

func (m *model) advance(now time.Duration) {
	m.line = slices.DeleteFunc(m.line, func(w modelWaiter) bool {
		late := w.until != 0 && w.until <= now
		if late {
			m.ended = append(m.ended, w.name+w.late)
		}
		return late
	})
}

func TestGateIsLikeModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var failure any // rapid speaks by panics, which mustn't end the bubble
		bubble(t, func(t *testing.T, s *script) {
			defer func() { failure = recover() }()
			compare(rt, s)
		})
		if failure != nil {
			panic(failure)
		}
	})
}

// compare does the same things to a gate and to the model.
func compare(rt *rapid.T, s *script) {
	limits := rapid.Custom(func(rt *rapid.T) Limits {
		return Limits{
			Concurrent: rapid.IntRange(0, 4).Draw(rt, "concurrent"),
			Pending:    rapid.IntRange(0, 5).Draw(rt, "pending"),
			Wait:       time.Duration(rapid.IntRange(0, 5).Draw(rt, "wait")) * time.Second,
		}
	})
	m := &model{limits: limits.Draw(rt, "limits")}
	s.open(m.limits)
	defer s.finish()
	names := 0
	rt.Repeat(map[string]func(*rapid.T){
		"enter": func(rt *rapid.T) {
			p := Priority(rapid.IntRange(0, 3).Draw(rt, "priority"))
			now, deadline := s.now(), time.Duration(0)
			if d := rapid.IntRange(-1, 8).Draw(rt, "deadline"); d != 0 {
				deadline = max(1, now+time.Duration(d)*time.Second)
			}
			names++
			name := fmt.Sprint(p, "/", names)
			m.enter(name, now, deadline, p)
			s.enter(name, p, deadline)
		},
		"leave": func(rt *rapid.T) {
			if m.inside == 0 {
				rt.Skip("nobody to leave")
			}
			m.inside--
			m.grant()
			s.leave()
		},
		"sleep": func(rt *rapid.T) {
			s.sleep(time.Duration(rapid.IntRange(1, 4000).Draw(rt, "ms")) * time.Millisecond)
			m.advance(s.now())
		},
		"limits": func(rt *rapid.T) {
			m.limits = limits.Draw(rt, "limits")
			m.grant()
			s.gate.SetLimits(m.limits)
			s.settle()
		},
		"": func(rt *rapid.T) {
			got, want := s.take(), m.ended
			m.ended = nil
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				rt.Fatalf("ended: %q, want %q", got, want)
			}
			if got := s.gate.InProgress(); got != m.inside {
				rt.Fatalf("InProgress() = %v, want %v", got, m.inside)
			}
			if got := s.gate.Pending(); got != len(m.line) {
				rt.Fatalf("Pending() = %v, want %v", got, len(m.line))
			}
		},
	})
}
