package resolve

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// view is what a source looks like now, put together from records and lists.
type view struct {
	endpoints []Endpoint
	err       error
	since     time.Time
	stale     bool
	pending   bool // something has no first answer yet
	expires   time.Time
	server    string

	found  []found
	errors int
}

// found is an endpoint before it is text.
type found struct {
	address netip.AddrPort
	name    string
	weight  int
}

func (v *view) update(s Source) Update {
	return Update{Source: s, Endpoints: v.endpoints, Err: v.err, Stale: v.stale}
}

// currentLocked returns the view of a source; while new questions of it have no answer
// yet, what was told last.
func (r *Resolver) currentLocked(s Source) view {
	v := r.viewLocked(s)
	e := r.mu.entries[s]
	if e != nil && e.told != nil && v.pending && time.Now().Before(e.settleBy) {
		v.endpoints, v.err, v.stale = e.told.Endpoints, e.told.Err, e.told.Stale
	}
	return v
}

func (r *Resolver) viewLocked(s Source) view {
	var v view
	switch s.Kind {
	case Literal, Name:
		t, err := parseTarget(s.Value)
		if err == nil && s.Kind == Literal && !t.addr.IsValid() {
			err = fmt.Errorf("%q is not an address with a port", s.Value)
		}
		if err != nil {
			v.fail(err, time.Time{})
			break
		}
		t.weight = s.Weight
		r.addTargetLocked(&v, t)
	case Service:
		r.addServiceLocked(&v, strings.ToLower(s.Value))
	case File:
		r.addListLocked(&v, r.mu.lists[s.Value])
	}
	v.finish()
	return v
}

func (r *Resolver) addListLocked(v *view, l *list) {
	if l == nil || !l.read {
		v.pending = true
		return
	}
	if l.err != nil {
		v.fail(l.err, l.since)
		v.stale = len(l.targets) > 0
	}
	for _, t := range l.targets {
		r.addTargetLocked(v, t)
	}
}

func (r *Resolver) addTargetLocked(v *view, t target) {
	if t.addr.IsValid() {
		v.add(t, t.addr)
		return
	}
	a := r.answerLocked(v, question{name: t.host})
	v.add(t, a.addrs[0]...)
	v.add(t, a.addrs[1]...)
}

// addServiceLocked adds the targets of the lowest priority that has an address.
func (r *Resolver) addServiceLocked(v *view, name string) {
	if !validHost(name) {
		v.fail(fmt.Errorf("%q is not the name of a service", name), time.Time{})
		return
	}
	targets := r.answerLocked(v, question{service: true, name: name}).targets
	for i, srv := range targets { // sorted by priority
		if i > 0 && srv.priority != targets[i-1].priority && len(v.found) > 0 {
			return
		}
		text := fmt.Sprintf("%s:%d", strings.TrimSuffix(srv.host, "."), srv.port)
		t := target{text: text, host: srv.host, port: srv.port, weight: max(int(srv.weight), 1)}
		if len(srv.addrs) > 0 {
			v.add(t, srv.addrs...)
		} else {
			r.addTargetLocked(v, t)
		}
	}
}

// answerLocked returns what is known of a question and notes its state in v.
func (r *Resolver) answerLocked(v *view, q question) answer {
	rec := r.mu.records[q]
	switch {
	case rec == nil && len(r.mu.records) >= recordsMax:
		v.fail(fmt.Errorf("%s: %w, the limit is %d", q.name, ErrTooMany, recordsMax), time.Time{})
		return answer{}
	case rec == nil || !rec.asked:
		v.pending = true
		return answer{}
	case rec.err != nil:
		v.fail(rec.err, rec.since)
		v.stale = v.stale || !rec.answer.empty()
	}
	if !rec.expires.IsZero() && (v.expires.IsZero() || rec.expires.Before(v.expires)) {
		v.expires = rec.expires
	}
	v.server = cmp.Or(v.server, rec.answer.server)
	return rec.answer
}

func (v *view) add(t target, addrs ...netip.Addr) {
	for _, addr := range addrs {
		v.found = append(v.found, found{netip.AddrPortFrom(addr, t.port), t.text, t.weight})
	}
}

// fail notes an error; the first is the one that is shown.
func (v *view) fail(err error, since time.Time) {
	v.errors++
	if v.err == nil {
		v.err = err
	}
	if v.since.IsZero() || !since.IsZero() && since.Before(v.since) {
		v.since = since
	}
}

// finish makes endpoints of what was found: sorted, each address once.
func (v *view) finish() {
	if v.errors > 1 {
		v.err = fmt.Errorf("%w, and %d more", v.err, v.errors-1)
	}
	slices.SortFunc(v.found, func(a, b found) int {
		return cmp.Or(a.address.Compare(b.address), strings.Compare(a.name, b.name), cmp.Compare(b.weight, a.weight))
	})
	v.found = slices.CompactFunc(v.found, func(a, b found) bool { return a.address == b.address })
	for _, f := range v.found {
		v.endpoints = append(v.endpoints, Endpoint{f.address.String(), f.name, f.weight})
	}
	v.stale = v.stale && len(v.endpoints) > 0
	v.found = nil
}
