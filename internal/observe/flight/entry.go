package flight

import (
	"cmp"
	"slices"
	"time"
)

// Entry is a record for people and programs. Method, Host, Path, Query, Agent and ID are what
// the client sent: print them escaped.
type Entry struct {
	Class    string    `json:"class"`
	Time     time.Time `json:"time"` // when its first byte came
	ID       string    `json:"request_id"`
	Client   string    `json:"client"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Query    string    `json:"query,omitempty"`
	Agent    string    `json:"user_agent,omitempty"`
	Cut      []string  `json:"cut,omitempty"` // which of these are longer than is kept
	Listener string    `json:"listener"`
	Route    string    `json:"route,omitempty"`
	Upstream string    `json:"upstream,omitempty"`
	Target   string    `json:"target,omitempty"`
	Limit    string    `json:"limit,omitempty"`
	Shadowed string    `json:"shadowed,omitempty"`
	Status   int       `json:"status"`
	Fault    string    `json:"fault,omitempty"` // its label
	Seconds  float64   `json:"seconds"`
	Ended    string    `json:"ended"` // the phase in which it ended
	Phases   []Part    `json:"phases"`
	Tries    int       `json:"tries"`
	Tried    []TryMade `json:"tried,omitempty"` // the first of them
	BytesIn  int64     `json:"bytes_in"`
	BytesOut int64     `json:"bytes_out"`
}

// Part is how long a phase took.
type Part struct {
	Phase   string  `json:"phase"`
	Seconds float64 `json:"seconds"`
}

// TryMade is one try.
type TryMade struct {
	Upstream string  `json:"upstream"`
	Target   string  `json:"target"`
	After    float64 `json:"after_seconds"` // since the request came
	Seconds  float64 `json:"seconds"`
	Status   int     `json:"status,omitempty"`
	Fault    string  `json:"fault,omitempty"`
}

// Query says which records are wanted; empty fields leave none out.
type Query struct {
	Classes         []Class // empty for all
	ID              string
	Route, Upstream string
	Since           time.Duration // how long ago they ended at most; 0 for all that there are
	Slowest         bool          // the slowest first instead of the newest
	Max             int           // how many; 0 for all
}

// Find returns the records that q wants, the newest first. time tells the time of day of a
// reading of the clock, now is its present reading.
func (r *Recorder) Find(q *Query, now time.Duration, time func(time.Duration) time.Time) []Entry {
	var found []record
	for c := range classes {
		if len(q.Classes) > 0 && !slices.Contains(q.Classes, c) {
			continue
		}
		r.each(c, func(at *record) bool {
			if q.wants(at, now) {
				found = append(found, *at)
			}
			return true
		})
	}
	slices.SortStableFunc(found, func(a, b record) int {
		if q.Slowest {
			return cmp.Compare(b.Done-b.Marks[Head], a.Done-a.Marks[Head])
		}
		return cmp.Compare(b.Done, a.Done)
	})
	if q.Max > 0 && len(found) > q.Max {
		found = found[:q.Max]
	}
	list := make([]Entry, len(found))
	for i := range found {
		list[i] = found[i].entry(time)
	}
	return list
}

func (q *Query) wants(r *record, now time.Duration) bool {
	return (q.Route == "" || r.Route == q.Route) && (q.Upstream == "" || r.Upstream == q.Upstream) &&
		(q.Since == 0 || r.Done >= now-q.Since) && (q.ID == "" || r.read(texts-1) == q.ID)
}

// textNames names the texts.
func textName(i int) string {
	return [texts]string{"method", "host", "path", "query", "user_agent", "request_id"}[i]
}

func (r *record) entry(timeOf func(time.Duration) time.Time) Entry {
	e := Entry{
		Class: r.class.String(), Time: timeOf(r.Marks[Head]), Client: r.Client.String(),
		Method: r.read(0), Host: r.read(1), Path: r.read(2), Query: r.read(3), Agent: r.read(4), ID: r.read(5),
		Listener: r.Listener, Route: r.Route, Upstream: r.Upstream, Target: r.Target, Limit: r.Limit, Shadowed: r.Shadowed,
		Status: r.Status, Seconds: (r.Done - r.Marks[Head]).Seconds(), Tries: r.Tries, BytesIn: r.BytesIn, BytesOut: r.BytesOut,
	}
	if r.Fault != 0 {
		e.Fault = r.Fault.String()
	}
	for i := range texts {
		if r.cut&(1<<i) != 0 {
			e.Cut = append(e.Cut, textName(i))
		}
	}
	for _, t := range r.tried[:r.kept] {
		made := TryMade{Upstream: t.Upstream, Target: t.Target, After: (t.Began - r.Marks[Head]).Seconds(), Seconds: t.Took.Seconds(), Status: t.Status}
		if t.Fault != 0 {
			made.Fault = t.Fault.String()
		}
		e.Tried = append(e.Tried, made)
	}
	e.Phases, e.Ended = r.parts()
	return e
}

// parts returns how long each phase took that was reached, and the one in which the request
// ended.
func (r *record) parts() (list []Part, ended string) {
	for p := Head; p < phases; p++ {
		began := r.Marks[p]
		if began == 0 && p != Head {
			continue
		}
		end := r.Done
		for next := p + 1; next < phases; next++ {
			if r.Marks[next] != 0 {
				end = r.Marks[next]
				break
			}
		}
		list = append(list, Part{p.String(), (end - began).Seconds()})
		ended = p.String()
	}
	return list, ended
}
