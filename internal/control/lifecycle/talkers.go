package lifecycle

import (
	"context"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/toplist"
)

// talkers are the lists of the data plane as the admin API shows them.
type talkers struct {
	*exchange.Talkers
	clock *netio.Clock
}

// run moves the lists on until ctx ends.
func (t talkers) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.Tick(t.clock.Now())
		}
	}
}

// Top implements admin.Talkers.
func (t talkers) Top(list string, window time.Duration, n int) admin.Top {
	l := map[string]*toplist.List{
		"clients": t.Clients, "routes": t.Routes, "paths": t.Paths, "agents": t.Agents, "faults": t.Faults,
	}[list]
	now := t.clock.Now()
	top := admin.Top{List: list, Seconds: int(window.Seconds()), Total: l.Total(window, now), Entries: []admin.TopEntry{}}
	for _, e := range l.Top(window, n, now) {
		top.Entries = append(top.Entries, admin.TopEntry{Key: e.Key, Cut: e.Cut, Count: e.Count, Error: e.ErrorBound})
	}
	return top
}
