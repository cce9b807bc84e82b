package resolve

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"time"
)

// question is what a record asks: addresses of a host, or the targets of a service.
type question struct {
	service bool
	name    string // lower case; a trailing dot stays
}

// record is a question that is asked again and again, with what is known. The Resolver's
// mutex guards it.
type record struct {
	question
	users map[*entry]struct{}

	asked    bool // a first answer or failure is there
	answer   answer
	expires  time.Time // end of the TTL of answer
	err      error     // of the last look-up
	since    time.Time // when err first came up
	failures int       // in a row

	due    time.Time
	place  int  // in the queue; -1 outside
	again  bool // ask once more when the look-up in hand is done
	cancel context.CancelFunc
}

// turn is what a look-up changed.
type turn struct {
	news      bool // for those who use the record
	failed    bool // the first failure
	recovered bool
}

// store takes what a look-up brought and says when the next is due.
func (rec *record) store(a answer, err error, o *Options) turn {
	now := time.Now()
	before, hadErr, first := rec.answer, rec.err != nil, !rec.asked
	rec.asked = true
	if err != nil {
		if !hadErr {
			rec.since = now
		}
		rec.failures++
		if o.StaleMax > 0 && now.Sub(rec.since) >= o.StaleMax {
			a = a.fresh()
			if !a.empty() {
				err = nil
			}
		}
	}
	rec.answer, rec.err = a, err
	if err == nil {
		rec.failures, rec.since = 0, time.Time{}
		ttl := min(max(a.ttl, o.TTLMin), o.TTLMax)
		rec.expires = now.Add(ttl)
		rec.due = now.Add(jitter(ttl))
	} else {
		rec.due = now.Add(rec.retryAfter(now, o.StaleMax))
	}
	return turn{
		news:      first || hadErr != (err != nil) || !a.equal(before) || a.kept != before.kept,
		failed:    err != nil && !hadErr,
		recovered: err == nil && hadErr,
	}
}

// retryAfter returns the time to the next try after a failure; the end of staleMax is not
// slept through.
func (rec *record) retryAfter(now time.Time, staleMax time.Duration) time.Duration {
	wait := jitter(min(retryFirst<<min(rec.failures-1, 10), retryMax))
	if left := staleMax - now.Sub(rec.since); left > 0 {
		wait = min(wait, left)
	}
	return wait
}

// jitter adds up to a tenth to d.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/10+1)
}

// queue is the records that wait, the next one first.
type queue []*record

var _ heap.Interface = (*queue)(nil)

// Len is part of heap.Interface.
func (q queue) Len() int { return len(q) }

// Less is part of heap.Interface.
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

// Swap is part of heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is part of heap.Interface.
func (q *queue) Push(x any) {
	rec := x.(*record)
	rec.place = len(*q)
	*q = append(*q, rec)
}

// Pop is part of heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	rec := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	rec.place = -1
	return rec
}
