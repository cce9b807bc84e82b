package memory

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// restEvery is how often it is looked whether the process rests, and restLooks how many
	// looks in a row must find so.
	restEvery = time.Second
	restLooks = 2
	// restBytesMax is what a process that rests allocates at most between two looks.
	restBytesMax = 1 << 20
	// garbageMin is from how much garbage on it is worth collecting, in bytes, when it is at
	// least half of the heap.
	garbageMin = 16 << 20
)

// heap is what the runtime tells of the heap, in bytes.
type heap struct {
	allocated uint64 // since the start
	live      uint64 // after the last collection
	objects   uint64 // now, with what is garbage
}

// rest collects what a burst has left behind once the process rests. The collector is
// set to let much garbage be, which is right under load; but a burst of handshakes may leave
// several times of what its connections keep, and no further allocation would ever have it
// collected.
type rest struct {
	read    func() heap
	collect func()

	last   heap
	looked time.Time
	quiet  int // looks in a row that found little allocated
}

func newRest() *rest { return &rest{read: readHeap, collect: debug.FreeOSMemory} }

// look is called often.
func (r *rest) look(now time.Time) {
	if now.Sub(r.looked) < restEvery {
		return
	}
	r.looked = now
	h := r.read()
	if h.allocated-r.last.allocated > restBytesMax {
		r.quiet = 0
	} else {
		r.quiet++
	}
	r.last = h
	garbage := int64(h.objects) - int64(h.live)
	if r.quiet == restLooks && garbage >= garbageMin && garbage >= int64(h.objects)/2 {
		r.collect()
	}
}

func readHeap() heap {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return heap{s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()}
}
