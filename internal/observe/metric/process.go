package metric

import (
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/fault"
)

// processState holds the series that exist once.
type processState struct {
	reloadsSucceeded, reloadsFailed atomic.Uint64
	lastSuccess                     atomic.Int64 // unix milliseconds
	lastSuccessful                  atomic.Bool
	generation                      atomic.Uint64
	maxConnections                  atomic.Int64
	memoryBudget, memoryStage       atomic.Int64
	accessLogDropped                atomic.Uint64
	eventsSuppressed                atomic.Uint64
	kernelBans                      atomic.Int64
	kernelDropped                   atomic.Uint64
	connectionsRefused              [fault.Count]atomic.Uint64
}

// ConfigLoaded records the first configuration, at start; it counts as no reload.
func (r *Registry) ConfigLoaded(now time.Time, generation uint64) {
	p := &r.process
	p.lastSuccess.Store(now.UnixMilli())
	p.generation.Store(generation)
	p.lastSuccessful.Store(true)
}

// ReloadSucceeded records that the configuration of this generation serves now.
func (r *Registry) ReloadSucceeded(now time.Time, generation uint64) {
	r.ConfigLoaded(now, generation)
	r.process.reloadsSucceeded.Add(1)
}

// ReloadFailed records a reload that changed nothing.
func (r *Registry) ReloadFailed() {
	r.process.lastSuccessful.Store(false)
	r.process.reloadsFailed.Add(1)
}

// SetMaxConnections records the limit of client connections; 0 is no limit.
func (r *Registry) SetMaxConnections(n int) { r.process.maxConnections.Store(int64(n)) }

// SetKernelBans records how many prefixes the kernel keeps out.
func (r *Registry) SetKernelBans(n int) { r.process.kernelBans.Store(int64(n)) }

// KernelDropped counts packets that would have begun a connection and that the kernel dropped.
func (r *Registry) KernelDropped(n uint64) { r.process.kernelDropped.Add(n) }

// SetMemoryBudget records how many bytes the process may take; 0 is no bound.
func (r *Registry) SetMemoryBudget(bytes int64) { r.process.memoryBudget.Store(bytes) }

// SetMemoryStage records how short memory is, from 0 (ample) to 3 (short).
func (r *Registry) SetMemoryStage(stage int) { r.process.memoryStage.Store(int64(stage)) }

// AccessLogDropped counts access log lines that found no room.
func (r *Registry) AccessLogDropped(n int) { r.process.accessLogDropped.Add(uint64(n)) }

// EventsSuppressed counts failing requests that were left out of the event log.
func (r *Registry) EventsSuppressed(n int) { r.process.eventsSuppressed.Add(uint64(n)) }
