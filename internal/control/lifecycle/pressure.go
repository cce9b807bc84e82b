package lifecycle

import (
	"sentinel/internal/control/memory"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/observe/event"
)

// setMemory makes the budget of memory hold: allowed by the configuration, or by the cgroup.
func (p *Process) setMemory(allowed int64) {
	p.memoryLimit = memory.Budget(allowed)
	memory.Tune(p.memoryLimit)
	if p.opt.SetMemoryBudget != nil {
		p.opt.SetMemoryBudget(p.memoryLimit)
	}
}

// memoryChanged makes a stage of the memory guard felt everywhere.
func (a *assembly) memoryChanged(c memory.Change) {
	a.metrics.SetMemoryStage(int(c.To))
	a.SetPressure(exchange.Pressure(c.To))
	a.registry.SetMemory(c.To >= memory.Tight, c.To >= memory.Short)
	if c.To >= memory.Tight {
		a.live.Trim()
	}
	a.events.Emit(event.Event{Kind: event.KindMemory, Worse: c.To > c.From, From: c.From.String(), To: c.To.String(), Cause: c.Cause()})
}
