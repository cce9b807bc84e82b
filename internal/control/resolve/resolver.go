package resolve

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Resolver follows sources until Close. Its methods may be called from any goroutine.
type Resolver struct {
	opts   Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	// Each wakes one goroutine; a pending wake is enough.
	wakeSchedule, wakePoll, wakeTell chan struct{}

	hosts, conf watched // of the poll goroutine

	mu struct {
		sync.Mutex
		entries map[Source]*entry
		records map[question]*record
		lists   map[string]*list
		dirty   map[*entry]struct{} // those with something to tell, perhaps
		queue   queue
		running int
		system  system
		unasked int           // records and lists without a first answer
		settled chan struct{} // closed while unasked is 0
	}
}

// entry is a source that is followed.
type entry struct {
	source   Source
	needs    map[question]*record
	list     *list     // of a File
	settleBy time.Time // until then, unasked needs hold the news back
	told     *Update   // what Changed heard last
}

// list is a file of targets. Those who share a path share it.
type list struct {
	file    watched // of the poll goroutine
	users   map[*entry]struct{}
	read    bool // once, well or not
	targets []target
	err     error
	since   time.Time
}

// New starts a Resolver without sources. It reads the hosts file and resolv.conf at once.
func New(o Options) *Resolver {
	r := &Resolver{
		opts:         o.withDefaults(),
		wakeSchedule: make(chan struct{}, 1),
		wakePoll:     make(chan struct{}, 1),
		wakeTell:     make(chan struct{}, 1),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.hosts = watched{path: r.opts.HostsFile, bytesMax: fileBytesMax}
	r.conf = watched{path: r.opts.ResolvConf, bytesMax: confBytesMax}
	r.mu.entries = make(map[Source]*entry)
	r.mu.records = make(map[question]*record)
	r.mu.lists = make(map[string]*list)
	r.mu.dirty = make(map[*entry]struct{})
	r.mu.settled = make(chan struct{})
	close(r.mu.settled)
	r.mu.system = parseResolvConf(nil)
	r.mu.system.servers = []string{localServer}
	if len(o.Servers) > 0 {
		r.mu.system = fixedServers(o.Servers)
	}
	r.pollSystem()
	r.tasks.Go(r.schedule)
	r.tasks.Go(r.poll)
	r.tasks.Go(r.tell)
	return r
}

// Set makes sources the ones that are followed. Those that stay keep their answers and
// schedule; so does a name that another source used before. Sources beyond SourcesMax are
// left out.
func (r *Resolver) Set(sources []Source) {
	r.mu.Lock()
	left := 0
	next := make(map[Source]*entry)
	for _, s := range sources {
		switch e := r.mu.entries[s]; {
		case next[s] != nil:
		case len(next) == SourcesMax:
			left++
		case e != nil:
			next[s] = e
		default:
			next[s] = r.followLocked(s)
		}
	}
	for s, e := range r.mu.entries {
		if next[s] == nil {
			r.dropLocked(e)
		}
	}
	r.mu.entries = next
	r.mu.Unlock()
	if left > 0 {
		r.opts.Log.Error("too many sources of targets, some are left out", "max", SourcesMax, "left_out", left)
	}
	r.wakeAll()
}

// Lookup returns what is known of a source now, for building a configuration, and whether
// that is anything. It knows a source that isn't set when others ask for the same names.
func (r *Resolver) Lookup(s Source) ([]Endpoint, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	endpoints := r.currentLocked(s).endpoints
	return endpoints, len(endpoints) > 0
}

// Await waits until every source has its first answer or its first failure, or ctx ends,
// or the Resolver is closed.
func (r *Resolver) Await(ctx context.Context) {
	for {
		r.mu.Lock()
		done, settled := r.mu.unasked == 0, r.mu.settled
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return
		case <-r.ctx.Done():
			return
		}
	}
}

// Results returns the state of all sources, sorted by upstream, kind and value.
func (r *Resolver) Results() []Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	results := make([]Result, 0, len(r.mu.entries))
	for s := range r.mu.entries {
		v := r.currentLocked(s)
		result := Result{Update: v.update(s), Since: v.since, Server: v.server}
		if !v.expires.IsZero() {
			result.TTL = max(time.Until(v.expires), 0)
		}
		results = append(results, result)
	}
	slices.SortFunc(results, func(a, b Result) int { return compareSources(a.Source, b.Source) })
	return results
}

// RefreshNow asks everything again at once and looks at the files, without waiting for
// what comes of it.
func (r *Resolver) RefreshNow() {
	r.mu.Lock()
	r.refreshLocked()
	r.mu.Unlock()
	r.wakeAll()
}

// Close ends all work and waits for it. Changed is not called after it. What was known
// can still be looked up.
func (r *Resolver) Close() {
	r.cancel()
	r.tasks.Wait()
}

func (r *Resolver) wakeAll() {
	wake(r.wakeSchedule)
	wake(r.wakePoll)
	wake(r.wakeTell)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
