package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/whatif"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/listen"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/demand"
)

const (
	// whatIfLimitsMax and whatIfEntriesMax bound the limits of one question and the keys that
	// all their tables hold, some 300 MB in the worst case.
	whatIfLimitsMax  = 256
	whatIfEntriesMax = 1 << 24
)

// whatIfs answers what limits would have done.
type whatIfs struct {
	clock    *netio.Clock
	record   *demand.Record
	registry *listen.Registry
	proxy    *exchange.Proxy
	serving  atomic.Pointer[schema.Config]
	peaks    peaks
	one      sync.Mutex // a question at a time: it takes a processor for a while
}

func newWhatIfs(clock *netio.Clock, record *demand.Record) *whatIfs {
	w := &whatIfs{clock: clock, record: record}
	w.peaks.read = w.present
	return w
}

// run watches until ctx ends.
func (w *whatIfs) run(ctx context.Context) { w.peaks.run(ctx) }

// present returns how many connections and requests there are.
func (w *whatIfs) present() map[bound]int64 {
	now := map[bound]int64{{"", boundConnections}: w.registry.Connections().Open()}
	for _, l := range w.registry.Listeners() {
		now[bound{l.Name(), boundConnections}] = l.Open()
	}
	s := w.proxy.Current()
	if s == nil {
		return now
	}
	if s.Requests != nil {
		now[bound{"", boundRequests}] = int64(s.Requests.InProgress())
	}
	for _, l := range s.Listeners {
		if l != nil && l.Requests != nil {
			now[bound{l.Name, boundRequests}] = int64(l.Requests.InProgress())
		}
	}
	return now
}

// WhatIf implements admin.WhatIfs.
func (w *whatIfs) WhatIf(q admin.WhatIfRequest, _ admin.Actor) (admin.WhatIf, error) {
	if q.Seconds < 1 || q.Seconds > int(demand.Window/time.Second) {
		return admin.WhatIf{}, &admin.Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf("seconds must be 1 to %d", demand.Window/time.Second)}
	}
	limits, err := limitsFor(q.Limits)
	if err != nil {
		return admin.WhatIf{}, err
	}
	w.one.Lock()
	defer w.one.Unlock()
	list, covered := w.record.Read(time.Duration(q.Seconds)*time.Second, w.clock.Now())
	a := admin.WhatIf{Seconds: covered.Seconds(), Limits: []admin.WhatIfAnswer{}, Connections: []admin.WhatIfBoundAnswer{}}
	for i := range list {
		a.Requests += list[i].Count
	}
	for i, r := range whatif.Simulate(list, limits, w.picker(&q)) {
		a.Limits = append(a.Limits, answerOf(&q.Limits[i], &limits[i], &r))
	}
	for _, b := range q.Connections {
		a.Connections = append(a.Connections, w.bound(b, q.Seconds))
	}
	return a, nil
}

// limitsFor makes limits of those of a question.
func limitsFor(list []admin.WhatIfLimit) ([]whatif.Limit, error) {
	refuse := func(format string, args ...any) error {
		return &admin.Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
	}
	if len(list) > whatIfLimitsMax {
		return nil, refuse("%d limits are more than %d", len(list), whatIfLimitsMax)
	}
	limits, entries := make([]whatif.Limit, len(list)), int64(0)
	for i, l := range list {
		key, err := limit.ParseKey(l.Key, int(l.IPv6Bits))
		if err != nil {
			return nil, refuse("limit %q: %v", l.Name, err)
		}
		r := limit.Rule{Name: l.Name, Per: time.Second, Requests: l.PerSecond, Burst: l.Burst, Entries: int(l.Keys)}
		if l.PerMinute > 0 {
			r.Per, r.Requests = time.Minute, l.PerMinute
		}
		if r.Requests < 1 || l.Keys < 1 || l.Keys > limit.EntriesMax {
			return nil, refuse("limit %q: no rate, or no number of keys that there can be", l.Name)
		}
		if entries += l.Keys; entries > whatIfEntriesMax {
			return nil, refuse("the limits remember more than %d keys together", whatIfEntriesMax)
		}
		limits[i] = whatif.Limit{Rule: r, Key: key, Patience: time.Duration(l.DelaySecs * float64(time.Second)), LetsPass: l.OnlyNotes}
	}
	return limits, nil
}

func answerOf(q *admin.WhatIfLimit, l *whatif.Limit, r *whatif.Answer) admin.WhatIfAnswer {
	a := admin.WhatIfAnswer{
		WhatIfLimit: *q, Requests: r.Requests, Refused: r.Refused, Delayed: r.Delayed, Margin: r.Margin, Clients: r.Clients, Hit: r.Hit,
	}
	switch part := l.Unknown(); part {
	case "":
	case limit.PartUser.String(), limit.PartClaim.String():
		a.Unknown = "who clients have proved to be isn't remembered"
	default:
		a.Unknown = "the values of a " + part + " aren't remembered"
	}
	for _, c := range r.Worst {
		a.Worst = append(a.Worst, admin.WhatIfClient{Client: c.Addr.String(), Requests: c.Requests, Refused: c.Refused})
	}
	return a
}

// bound answers one bound.
func (w *whatIfs) bound(q admin.WhatIfBound, seconds int) admin.WhatIfBoundAnswer {
	a := admin.WhatIfBoundAnswer{WhatIfBound: q}
	switch q.Key {
	case boundPerClient:
		return w.perClient(a)
	case boundConnections, boundRequests:
		b, known := bound{q.Listener, q.Key}, false
		a.Peak, a.Over, known = w.peaks.above(b, seconds, q.Limit)
		a.Now = w.present()[b]
		switch {
		case known:
		case q.Key == boundRequests:
			a.Unknown = "requests in progress are counted where there is a bound for them: set a high one and ask again"
		default:
			a.Unknown = "there is no such listener, or only just"
		}
		return a
	}
	a.Unknown = "it isn't remembered"
	return a
}

func (w *whatIfs) perClient(a admin.WhatIfBoundAnswer) admin.WhatIfBoundAnswer {
	t := w.registry.Clients()
	if a.Listener != "" {
		all := w.registry.Listeners()
		i := slices.IndexFunc(all, func(l *listen.Listener) bool { return l.Name() == a.Listener })
		if i < 0 {
			a.Unknown = "there is no such listener"
			return a
		}
		t = all[i].Clients()
	}
	c := t.Above(a.Limit)
	a.Now, a.Clients, a.Excess = c.Most, c.Clients, c.Connections
	if c.Most > 0 {
		a.Largest = c.Largest.String()
	}
	return a
}
