package demand

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"
)

func client(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func TestRead(t *testing.T) {
	r := New(2)
	now := time.Hour
	note := func(cell, who int, path string, after time.Duration) {
		r.Note(cell, &Request{Client: client(who), Path: r.Hash([]byte(path)), Route: 1, Method: 2}, now+after)
	}
	note(0, 1, "/a", 0)
	note(0, 1, "/b", 10*time.Millisecond)
	note(1, 2, "/a", 15*time.Millisecond)
	note(0, 1, "/a", 20*time.Millisecond)
	note(0, 1, "/a", 99*time.Millisecond)
	note(0, 1, "/a", 100*time.Millisecond) // its entry is over
	list, covered := r.Read(time.Minute, now+time.Second)
	if covered != time.Minute {
		t.Errorf("covered %v, want a minute: nothing was lost", covered)
	}
	a, b := r.Hash([]byte("/a")), r.Hash([]byte("/b"))
	want := []Seen{
		{Request{Client: client(1), Path: a, Route: 1, Method: 2}, now, 99 * time.Millisecond, 3},
		{Request{Client: client(1), Path: b, Route: 1, Method: 2}, now + 10*time.Millisecond, 0, 1},
		{Request{Client: client(2), Path: a, Route: 1, Method: 2}, now + 15*time.Millisecond, 0, 1},
		{Request{Client: client(1), Path: a, Route: 1, Method: 2}, now + 100*time.Millisecond, 0, 1},
	}
	if len(list) != len(want) {
		t.Fatalf("Read = %d entries, want %d: %+v", len(list), len(want), list)
	}
	for i := range want {
		if list[i] != want[i] {
			t.Errorf("entry %d = %+v, want %+v", i, list[i], want[i])
		}
	}
	if list, _ := r.Read(950*time.Millisecond, now+time.Second); len(list) != 1 {
		t.Errorf("of the last 950 ms there are %d entries, want 1", len(list))
	}
	if list, covered := r.Read(time.Hour, now+2*Window); len(list) != 0 || covered != Window {
		t.Errorf("after a while: %d entries of %v, want none of %v", len(list), covered, Window)
	}
}

// A ring that has come round says back to when it is complete.
func TestReadCovered(t *testing.T) {
	r := New(1)
	const rate = 10 // a millisecond
	end := time.Hour
	for i := range 2 * entriesMax {
		end = time.Hour + time.Duration(i/rate)*time.Millisecond
		r.Note(0, &Request{Client: client(i)}, end)
	}
	list, covered := r.Read(Window, end)
	if want := entriesMax / rate * time.Millisecond; covered < want-10*time.Millisecond || covered > want {
		t.Errorf("covered %v, want %v", covered, want)
	}
	if len(list) < entriesMax-rate || len(list) > entriesMax {
		t.Errorf("%d entries, want %d", len(list), entriesMax)
	}
	if size := unsafe.Sizeof(entry{}); size != 40 {
		t.Errorf("an entry takes %d bytes, want 40", size)
	}
}

func TestNoteAllocatesNothing(t *testing.T) {
	r, i := New(1), 0
	if n := testing.AllocsPerRun(1000, func() { i++; r.Note(0, &Request{Client: client(i)}, time.Duration(i)) }); n != 0 {
		t.Errorf("Note allocates %v times", n)
	}
}

func BenchmarkNote(b *testing.B) {
	path, host, route := []byte("/api/v1/users/17"), []byte("www.example.com"), Name("api")
	for name, clients := range map[string]int{"one client": 1, "thousand clients": 1000, "a flood": 1 << 22} {
		b.Run(name, func(b *testing.B) {
			r := New(1)
			for i := range b.N {
				q := Request{Client: client(i % clients), Path: r.Hash(path), Host: r.Hash(host), Route: route, Listener: route}
				r.Note(0, &q, time.Duration(i)*time.Microsecond)
			}
		})
	}
}
