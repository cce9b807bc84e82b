package lifecycle

import (
	"sentinel/internal/control/tokenkeys"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

// newTokenKeys returns what fetches the keys for tokens, and shows them in the metrics.
func newTokenKeys(events *event.Log, m *metric.Registry) *tokenkeys.Keeper {
	k := tokenkeys.New(tokenkeys.Options{Events: events})
	m.SetKeySources(func() []metric.KeySource {
		states := k.States()
		list := make([]metric.KeySource, len(states))
		for i, s := range states {
			list[i] = metric.KeySource{Name: s.Name, Keys: s.Keys, Fetched: s.Fetched, Failed: s.Failed, LastSeconds: s.LastFetchedSeconds}
		}
		return list
	})
	return k
}
