// Package memory keeps the process within its budget of memory. Before the kernel ends it
// for taking too much, it gives up, stage by stage, what users miss least:
//
//	ample -> lean (75 %): nothing is buffered or copied for want of luxury
//	      -> tight (85 %): idle connections of both sides end, low priority is refused
//	      -> short (93 %): nobody new comes in, only high priority is served
//
// A stage ends when the use has fallen five points below where it began.
package memory

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Stage is how short memory is.
type Stage int32

// The stages.
const (
	Ample Stage = iota
	Lean
	Tight
	Short
)

// String returns the stage in lower case.
func (s Stage) String() string { return [...]string{"ample", "lean", "tight", "short"}[s] }

const (
	// lookEvery is how often the use is looked at.
	lookEvery = 100 * time.Millisecond
	// collectEvery bounds how often garbage is collected to find out what is in use.
	collectEvery = 2 * time.Second
	// hysteresis is how far the use must fall below where a stage began, in percent of the
	// budget.
	hysteresis = 5
)

// begins is at which use a stage begins, in percent of the budget.
var begins = [...]int64{Lean: 75, Tight: 85, Short: 93}

// Change is a change of the stage.
type Change struct {
	From, To     Stage
	Used, Budget int64 // bytes
}

// Cause says what the use was.
func (c Change) Cause() string {
	return fmt.Sprintf("%d of %d MiB in use", c.Used>>20, c.Budget>>20)
}

// Guard watches the use of memory.
type Guard struct {
	changed func(Change)
	used    func() int64
	collect func()

	budget    atomic.Int64
	stage     atomic.Int32
	collected time.Time
}

// NewGuard returns a guard without a budget. changed is told each change of the stage, and
// makes it felt.
func NewGuard(changed func(Change)) *Guard {
	return &Guard{changed: changed, used: Resident, collect: debug.FreeOSMemory}
}

// SetBudget sets how many bytes the process may take; 0 is no bound.
func (g *Guard) SetBudget(bytes int64) { g.budget.Store(bytes) }

// Budget returns what SetBudget has set.
func (g *Guard) Budget() int64 { return g.budget.Load() }

// Stage returns the stage.
func (g *Guard) Stage() Stage { return Stage(g.stage.Load()) }

// Run watches until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	rest := newRest()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			g.look(now)
			rest.look(now)
		}
	}
}

// look compares the use with the budget. A use that would begin a stage may be garbage that
// nobody has collected: that is done first, though not all the time.
func (g *Guard) look(now time.Time) {
	budget, used := g.budget.Load(), g.used()
	old := g.Stage()
	next := stageAt(old, used, budget)
	if next > old && now.Sub(g.collected) >= collectEvery {
		g.collected = now
		g.collect()
		used = g.used()
		next = stageAt(old, used, budget)
	}
	if next == old {
		return
	}
	g.stage.Store(int32(next))
	g.changed(Change{From: old, To: next, Used: used, Budget: budget})
}

// stageAt returns the stage that follows old at this use.
func stageAt(old Stage, used, budget int64) Stage {
	if budget <= 0 {
		return Ample
	}
	percent := used * 100 / budget
	stage := Ample
	for s := Lean; s <= Short; s++ {
		threshold := begins[s]
		if s <= old {
			threshold -= hysteresis
		}
		if percent >= threshold {
			stage = s
		}
	}
	return stage
}

// Resident returns the resident memory of the process in bytes (proc_pid_statm(5)); 0 when
// it can't be read.
func Resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
