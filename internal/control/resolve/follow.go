package resolve

import (
	"container/heap"
	"strings"
	"time"
)

// followLocked begins to follow a source.
func (r *Resolver) followLocked(s Source) *entry {
	e := &entry{source: s}
	if s.Kind == File {
		e.list = r.mu.lists[s.Value]
		if e.list == nil {
			e.list = &list{file: watched{path: s.Value, bytesMax: fileBytesMax}, users: make(map[*entry]struct{})}
			r.mu.lists[s.Value] = e.list
			r.askingLocked(1)
		}
		e.list.users[e] = struct{}{}
	}
	e.settleBy = time.Now().Add(settleMax)
	r.linkLocked(e)
	return e
}

// dropLocked ends that.
func (r *Resolver) dropLocked(e *entry) {
	delete(r.mu.dirty, e)
	for _, rec := range e.needs {
		r.releaseLocked(rec, e)
	}
	if l := e.list; l != nil {
		delete(l.users, e)
		if len(l.users) == 0 {
			delete(r.mu.lists, e.source.Value)
			if !l.read {
				r.askingLocked(-1)
			}
		}
	}
}

// linkLocked ties an entry to the records that it needs now, and marks it dirty.
func (r *Resolver) linkLocked(e *entry) {
	before := e.needs
	e.needs = make(map[question]*record)
	for _, q := range r.needsLocked(e.source) {
		rec := r.mu.records[q]
		if rec == nil {
			if rec = r.recordLocked(q); rec == nil {
				continue
			}
		}
		if before[q] == nil && !rec.asked {
			e.settleBy = time.Now().Add(settleMax)
		}
		rec.users[e] = struct{}{}
		e.needs[q] = rec
	}
	for q, rec := range before {
		if e.needs[q] == nil {
			r.releaseLocked(rec, e)
		}
	}
	r.mu.dirty[e] = struct{}{}
}

// needsLocked returns the questions behind a source, as far as they are known.
func (r *Resolver) needsLocked(s Source) []question {
	switch s.Kind {
	case Name:
		if t, err := parseTarget(s.Value); err == nil && !t.addr.IsValid() {
			return []question{{name: t.host}}
		}
	case Service:
		q := question{service: true, name: strings.ToLower(s.Value)}
		if !validHost(q.name) {
			return nil
		}
		needs := []question{q}
		if rec := r.mu.records[q]; rec != nil {
			for _, t := range rec.answer.targets {
				if len(t.addrs) == 0 {
					needs = append(needs, question{name: t.host})
				}
			}
		}
		return needs
	case File:
		var needs []question
		if l := r.mu.lists[s.Value]; l != nil {
			for _, t := range l.targets {
				if !t.addr.IsValid() {
					needs = append(needs, question{name: t.host})
				}
			}
		}
		return needs
	}
	return nil
}

// recordLocked returns a new record that is due at once, or nil when there are too many.
func (r *Resolver) recordLocked(q question) *record {
	if len(r.mu.records) >= recordsMax {
		return nil
	}
	rec := &record{question: q, users: make(map[*entry]struct{}), due: time.Now()}
	r.mu.records[q] = rec
	heap.Push(&r.mu.queue, rec)
	r.askingLocked(1)
	return rec
}

// releaseLocked unties an entry from a record, which ends with its last user.
func (r *Resolver) releaseLocked(rec *record, e *entry) {
	delete(rec.users, e)
	if len(rec.users) > 0 {
		return
	}
	delete(r.mu.records, rec.question)
	if rec.place >= 0 {
		heap.Remove(&r.mu.queue, rec.place)
	}
	if rec.cancel != nil {
		rec.cancel()
	}
	if !rec.asked {
		r.askingLocked(-1)
	}
}

// askingLocked counts what has no first answer.
func (r *Resolver) askingLocked(change int) {
	before := r.mu.unasked
	r.mu.unasked += change
	switch {
	case before == 0 && change > 0:
		r.mu.settled = make(chan struct{})
	case before > 0 && r.mu.unasked == 0:
		close(r.mu.settled)
	}
}

// refreshLocked makes every record due.
func (r *Resolver) refreshLocked() {
	now := time.Now()
	for _, rec := range r.mu.records {
		rec.again = rec.place < 0
		rec.due = now
	}
	heap.Init(&r.mu.queue)
}
