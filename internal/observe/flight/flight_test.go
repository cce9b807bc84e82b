package flight

import (
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func onClock(d time.Duration) time.Time { return noon.Add(d) }

// sample is a request that failed at its second target.
func sample(id string, at time.Duration) *Request {
	q := &Request{
		Facts: Facts{
			Client: netip.MustParseAddr("192.0.2.7"), Status: 502, Fault: fault.UpstreamRefused, Listener: "l", Route: "r", Upstream: "u", Target: "10.0.0.2:80",
			BytesIn: 3, Tries: 2, Done: at + 40*time.Millisecond,
		},
		Tried:  []Try{{Upstream: "u", Target: "10.0.0.1:80", Began: at + 5*time.Millisecond, Took: 10 * time.Millisecond, Fault: fault.UpstreamReset}},
		Method: []byte("GET"), Host: []byte("h\x1b"), Path: []byte("/" + strings.Repeat("x", 300)), Query: []byte("q=1"), Agent: []byte("a"), ID: []byte(id),
	}
	q.Marks = Marks{Head: at, Admit: at + time.Millisecond, Content: at + 2*time.Millisecond, Queue: at + 2*time.Millisecond, Retry: at + 5*time.Millisecond, Connect: at + 20*time.Millisecond}
	return q
}

func TestEntry(t *testing.T) {
	r := New(1)
	r.Note(0, Failed, sample("one", time.Second))
	list := r.Find(&Query{ID: "one"}, time.Minute, onClock)
	if len(list) != 1 {
		t.Fatalf("Find = %+v, want one record", list)
	}
	want := Entry{
		Class: "failed", Time: noon.Add(time.Second), ID: "one", Client: "192.0.2.7", Method: "GET", Host: "h\x1b", Path: "/" + strings.Repeat("x", 159), Query: "q=1", Agent: "a",
		Cut: []string{"path"}, Listener: "l", Route: "r", Upstream: "u", Target: "10.0.0.2:80", Status: 502, Fault: "upstream_refused", Seconds: 0.04, Ended: "connect",
		Phases: []Part{{"head", 0.001}, {"admit", 0.001}, {"content", 0}, {"queue", 0.003}, {"retry", 0.015}, {"connect", 0.02}},
		Tries:  2, Tried: []TryMade{{Upstream: "u", Target: "10.0.0.1:80", After: 0.005, Seconds: 0.01, Fault: "upstream_reset"}}, BytesIn: 3,
	}
	if !reflect.DeepEqual(list[0], want) {
		t.Errorf("Find = %+v, want %+v", list[0], want)
	}
}

func TestFind(t *testing.T) {
	r := New(4)
	for i, c := range []Class{Failed, Slow, Refused, Asked, Failed} {
		q := sample(c.String(), time.Duration(i)*time.Second)
		q.Done += time.Duration(10-i) * 100 * time.Millisecond
		r.Note(i, c, q)
	}
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{}, "failed asked refused slow failed"},
		{Query{Slowest: true}, "failed slow refused asked failed"},
		{Query{Classes: []Class{Slow, Asked}}, "asked slow"},
		{Query{Max: 1}, "failed"},
		{Query{Since: 3 * time.Second}, "failed asked"},
		{Query{Route: "other"}, ""},
		{Query{Upstream: "u", ID: "slow"}, "slow"},
	} {
		var got []string
		for _, e := range r.Find(&c.q, 5*time.Second+900*time.Millisecond, onClock) {
			got = append(got, e.ID)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("Find(%+v) = %q, want %q", c.q, got, c.want)
		}
	}
}

// A flood fills a part of its ring, and what came before it is still there; the others are
// counted. After a while the ring takes records again.
func TestFlood(t *testing.T) {
	r := New(1)
	r.Note(0, Failed, sample("before", time.Second))
	q := sample("flood", 2*time.Second)
	for range 100_000 {
		r.Note(0, Failed, q)
	}
	all := r.Find(&Query{Classes: []Class{Failed}}, time.Minute, onClock)
	if n := len(all); n > failedMax/burst+1 || n < failedMax/burst || all[n-1].ID != "before" {
		t.Errorf("after a flood there are %d records and the last is %q, want a quarter of %d and what came before", n, all[n-1].ID, failedMax)
	}
	if n := r.LeftOut(Failed); n+uint64(len(all)) != 100_001 {
		t.Errorf("LeftOut = %d with %d records, want all accounted for", n, len(all))
	}
	for i := range 200 { // one a second is little
		r.Note(0, Failed, sample("after", time.Duration(i+3)*time.Second))
	}
	if n := len(r.Find(&Query{ID: "after"}, time.Hour, onClock)); n != 200 {
		t.Errorf("of 200 requests in 200 s %d are kept", n)
	}
}

// Rings are bounded whatever comes for however long, and hold the newest.
func TestBounds(t *testing.T) {
	r := New(2)
	for i := range 4 * failedMax {
		for c := range classes {
			r.Note(i, c, sample("x", time.Duration(i)*time.Second))
		}
	}
	for c := range classes {
		list := r.Find(&Query{Classes: []Class{c}}, 0, onClock)
		if len(list) != ringMax(c) || !list[0].Time.Equal(noon.Add((4*failedMax-1)*time.Second)) {
			t.Errorf("of class %v there are %d records, the newest of %v, want %d", c, len(list), list[0].Time, ringMax(c))
		}
	}
	if BytesMax > 8<<20 {
		t.Errorf("BytesMax = %d, want 8 MiB at most", BytesMax)
	}
}

func TestNoteDoesNotAllocate(t *testing.T) {
	r := New(1)
	at := time.Duration(0)
	for range 2 * failedMax {
		at += time.Second
		r.Note(0, Failed, sample("x", at))
	}
	q := sample("x", at)
	if n := testing.AllocsPerRun(1000, func() {
		q.Done += time.Second
		r.Note(0, Failed, q)
	}); n != 0 {
		t.Errorf("Note allocates %v times", n)
	}
}

func TestConcurrently(t *testing.T) {
	r := New(2)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 2000 {
				r.Note(i, Class(j)%classes, sample("x", time.Duration(j)*time.Second))
			}
		})
		all.Go(func() {
			for range 20 {
				for _, e := range r.Find(&Query{}, 0, onClock) {
					if e.ID != "x" || e.Status != 502 {
						t.Errorf("Find = %+v, want whole records", e)
						return
					}
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkNote(b *testing.B) {
	r := New(1)
	q := sample("0123456789abcdef0123456789abcdef", 0)
	for b.Loop() {
		q.Done += time.Second
		r.Note(0, Failed, q)
	}
}
