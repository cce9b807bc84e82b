package exchange

import (
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/queue"
)

// Pressure says how short memory is; the levels are those of the memory guard.
type Pressure int32

// The levels of pressure.
const (
	NoPressure  Pressure = iota
	NoLuxury             // nothing is kept for another try, hedged or mirrored
	FewRequests          // requests of low priority are refused
	OnlyUrgent           // those of normal priority, too
)

// SetPressure makes a level of pressure felt by the requests that come from now on.
func (p *Proxy) SetPressure(level Pressure) { p.pressure.Store(int32(level)) }

func (p *Proxy) pressureIs(level Pressure) bool { return p.pressure.Load() >= int32(level) }

// afford reports whether there is memory for a request of this priority.
func (x *exchange) afford() fault.Kind {
	level := Pressure(x.p.pressure.Load())
	if level < FewRequests {
		return fault.None
	}
	if x.route.Priority == queue.Low || level >= OnlyUrgent && x.route.Priority == queue.Normal {
		return fault.MemoryLimit
	}
	return fault.None
}
