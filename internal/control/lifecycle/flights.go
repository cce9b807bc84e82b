package lifecycle

import (
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/observe/flight"
)

// flights are the records of the data plane as the admin API shows them.
type flights struct {
	*flight.Recorder
	clock *netio.Clock
}

// Flights implements admin.Flight.
func (f flights) Flights(q *flight.Query) []flight.Entry {
	return f.Find(q, f.clock.Now(), f.clock.Time)
}
