package snapshot

import (
	"time"

	"sentinel/internal/dataplane/block"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/upstream"
	"sentinel/internal/observe/metric"
)

// Streams is what holds for a listener whose connections are streams of bytes.
type Streams struct {
	Table         *route.Table[*Stream] // by server name; nil where no route has one
	Default       *Stream               // of all others; nil for none
	HelloTimeout  time.Duration         // for the server name to be there
	IdleTimeout   time.Duration         // a stream without a byte for so long is closed; 0 is never
	OrphanTimeout time.Duration         // how long streams go on whose route is gone; 0 is without end
}

// Stream is a route of streams. Its name tells it across reloads.
type Stream struct {
	Name     string
	Key      []byte // Name, for lists of who has most
	Metrics  *metric.Route
	Upstream *upstream.Upstream
	Series   *metric.Stream // of Upstream
	// Fallback takes the streams that Upstream can't; nil for none.
	Fallback       *upstream.Upstream
	FallbackSeries *metric.Stream
	Failover       *upstream.Failover
	Access         *block.List // nil where the listener's holds
}
