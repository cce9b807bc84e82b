package overview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/series"
)

// Watcher looks at a running proxy again and again. Its methods are for one goroutine.
type Watcher struct {
	client  *admin.Client
	started time.Time         // of the process that was looked at
	last    map[string]counts // of routes, at the last look
	looked  time.Time
	seen    []event.Event // the newest first
}

// counts are what a route had counted.
type counts struct{ requests, errors uint64 }

// New returns a watcher that asks by client.
func New(client *admin.Client) *Watcher { return &Watcher{client: client} }

// Look returns what is to be seen now. Its error is that of the first question; what can't be
// had of the rest is named in Missing.
func (w *Watcher) Look(ctx context.Context) (*Frame, error) {
	status, err := w.client.Status(ctx)
	if err != nil {
		return nil, err
	}
	if !status.Started.Equal(w.started) { // another process counts anew
		*w = Watcher{client: w.client, started: status.Started}
	}
	f := &Frame{At: time.Now(), Version: status.Version, Events: []event.Event{}, Bans: []admin.Ban{}, Routes: []Route{}, Faults: []Fault{}, Upstr: []Upstream{}, Points: []Point{}}
	f.Process = Process{
		State: status.State, Ready: status.Ready, Reasons: status.Reasons, Generation: status.Generation, Uptime: status.UptimeSeconds,
		LastReload: status.LastReload, Connections: status.Connections, Limit: status.Limit,
	}
	f.Clients.Entries = []admin.TopEntry{}
	f.try("who asks", func() (err error) { f.Who, err = w.client.WhoAmI(ctx); return err })
	f.try("series", func() error { return w.series(ctx, f, status.Routes) })
	f.try("upstreams", func() error { return w.upstreams(ctx, f) })
	f.try("clients", func() (err error) {
		f.Clients, err = w.client.Top(ctx, "clients", Recent, clientsMax)
		return err
	})
	f.try("events", func() error { return w.events(ctx, f) })
	f.try("bans", func() error { return w.bans(ctx, f) })
	w.rates(f, &status)
	return f, nil
}

// try notes what can't be had.
func (f *Frame) try(what string, get func() error) {
	if err := get(); err != nil && !errors.Is(err, context.Canceled) {
		f.Missing = append(f.Missing, fmt.Sprintf("%s: %v", what, err))
	}
}

// rates sets what has happened since the last look.
func (w *Watcher) rates(f *Frame, status *admin.Status) {
	now := make(map[string]counts, len(status.Routes))
	seconds := f.At.Sub(w.looked).Seconds()
	for _, r := range status.Routes {
		c := counts{r.Requests, r.Errors}
		now[r.Name] = c
		before, known := w.last[r.Name]
		switch {
		case w.looked.IsZero():
			f.Now.Requests += r.RequestsPerSecond
			f.Now.Errors += r.ErrorsPerSecond
		case known && c.requests >= before.requests && c.errors >= before.errors:
			f.Now.Requests += float64(c.requests-before.requests) / seconds
			f.Now.Errors += float64(c.errors-before.errors) / seconds
		}
	}
	w.last, w.looked = now, f.At
}

// series sets what the last minutes were.
func (w *Watcher) series(ctx context.Context, f *Frame, routes []admin.Route) error {
	long, err := w.client.Series(ctx, History, series.Step)
	if err != nil {
		return err
	}
	short, err := w.client.Series(ctx, Recent, 0)
	if err != nil {
		return err
	}
	f.points(&long)
	f.routes(&long, &short, routes)
	for _, x := range long.Faults {
		g := Fault{Route: x.Route, Fault: x.Fault, Side: x.Side, Count: x.Now, Last: x.Last}
		steps := int(Recent / series.Step)
		for _, n := range x.Points[max(0, len(x.Points)-steps):] {
			g.Recent += n
		}
		if g.Count > 0 {
			f.Faults = append(f.Faults, g)
		}
	}
	slices.SortStableFunc(f.Faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(b.Recent, a.Recent), cmp.Compare(b.Count, a.Count))
	})
	f.Faults = f.Faults[:min(len(f.Faults), faultsMax)]
	return nil
}

// points sums the routes up.
func (f *Frame) points(w *series.Window) {
	for i, m := range w.Moments {
		p := Point{At: m.At}
		for _, r := range w.Routes {
			if i < len(r.Points) && m.Seconds > 0 {
				p.Requests += float64(r.Points[i].Requests) / m.Seconds
				p.Errors += float64(r.Points[i].Errors) / m.Seconds
				p.P99 = max(p.P99, 1000*r.Points[i].P99)
			}
		}
		f.Points = append(f.Points, p)
	}
}

// routes sets the routes, those with most requests first.
func (f *Frame) routes(long, short *series.Window, known []admin.Route) {
	targets := make(map[string]string, len(known))
	for _, r := range known {
		targets[r.Name] = r.Target
	}
	points := make(map[string][]float64, len(long.Routes))
	for _, r := range long.Routes {
		list := make([]float64, 0, len(r.Points))
		for i, p := range r.Points {
			if i < len(long.Moments) && long.Moments[i].Seconds > 0 {
				list = append(list, float64(p.Requests)/long.Moments[i].Seconds)
			}
		}
		points[r.Name] = list
	}
	seconds := max(short.Seconds, 1)
	most := uint64(0)
	for _, r := range short.Routes {
		f.Routes = append(f.Routes, Route{
			Name: r.Name, Target: targets[r.Name], Requests: float64(r.Now.Requests) / seconds, Errors: float64(r.Now.Errors) / seconds,
			ErrorShare: r.Now.ErrorShare(), P50: 1000 * r.Now.P50, P99: 1000 * r.Now.P99, Points: points[r.Name],
		})
		f.Now.Refused += float64(r.Now.Refused) / seconds
		if r.Now.Requests > most {
			most, f.Now.Busiest, f.Now.P50 = r.Now.Requests, r.Name, 1000*r.Now.P50
		}
		if p := 1000 * r.Now.P99; p > f.Now.P99 {
			f.Now.Worst, f.Now.P99 = r.Name, p
		}
	}
	slices.SortStableFunc(f.Routes, func(a, b Route) int { return cmp.Compare(b.Requests, a.Requests) })
	f.Routes = f.Routes[:min(len(f.Routes), routesMax)]
}

func (w *Watcher) upstreams(ctx context.Context, f *Frame) error {
	list, err := w.client.Upstreams(ctx, "")
	if err != nil {
		return err
	}
	for _, u := range list {
		for i := range u.Targets {
			u.Targets[i].Probe, u.Targets[i].ProbeText = nil, nil // not at a glance
		}
		f.Upstr = append(f.Upstr, Upstream{UpstreamStatus: u, Usable: u.Usable(), Trouble: trouble(&u)})
	}
	return nil
}

// trouble says in a few words what is wrong with an upstream.
func trouble(u *admin.UpstreamStatus) string {
	usable := u.Usable()
	switch {
	case u.Drained:
		return "drained"
	case usable == 0:
		return "NO USABLE TARGET"
	case u.Panic:
		return "PANIC"
	case usable < len(u.Targets):
		return fmt.Sprintf("%d out", len(u.Targets)-usable)
	case u.Pending > 0:
		return "queueing"
	}
	return ""
}

// events asks only for what is new.
func (w *Watcher) events(ctx context.Context, f *Frame) error {
	since := uint64(0)
	if len(w.seen) > 0 {
		since = w.seen[0].Seq
	}
	list, err := w.client.Events(ctx, since)
	if err != nil {
		return err
	}
	slices.Reverse(list)
	list = append(list, w.seen...)
	w.seen = slices.Clip(list[:min(len(list), eventsMax)])
	f.Events = append(f.Events, w.seen...)
	return nil
}

func (w *Watcher) bans(ctx context.Context, f *Frame) error {
	list, err := w.client.Bans(ctx)
	if err != nil {
		return err
	}
	f.Bans = list[:min(len(list), bansMax)]
	return nil
}
