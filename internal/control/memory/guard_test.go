package memory

import (
	"testing"
	"time"
)

func TestStages(t *testing.T) {
	const budget = 1000
	for _, step := range []struct {
		old  Stage
		used int64
		want Stage
	}{
		{Ample, 0, Ample},
		{Ample, 749, Ample},
		{Ample, 750, Lean},
		{Ample, 850, Tight},
		{Ample, 930, Short},
		{Ample, 5000, Short},
		{Lean, 700, Lean}, // within the hysteresis
		{Lean, 699, Ample},
		{Short, 880, Short},
		{Short, 879, Tight},
		{Short, 799, Lean},
		{Short, 100, Ample},
	} {
		if got := stageAt(step.old, step.used, budget); got != step.want {
			t.Errorf("stageAt(%v, %d of %d) = %v, want %v", step.old, step.used, budget, got, step.want)
		}
	}
	if got := stageAt(Short, 5000, 0); got != Ample {
		t.Errorf("without a budget the stage is %v, want ample", got)
	}
}

// What could be garbage is collected before a stage begins, but not at every look.
func TestLookCollectsFirst(t *testing.T) {
	var changes []Change
	used, collected := int64(800), 0
	g := NewGuard(func(c Change) { changes = append(changes, c) })
	g.used = func() int64 { return used }
	g.collect = func() { collected++; used = 100 }
	g.SetBudget(1000)
	now := time.Unix(1000, 0)
	g.look(now)
	if collected != 1 || len(changes) != 0 {
		t.Errorf("garbage was collected %d times and %v told, want once and nothing", collected, changes)
	}
	used = 900
	g.look(now.Add(time.Second))
	if collected != 1 || len(changes) != 1 || changes[0].To != Tight {
		t.Errorf("a second later: collected %d times, told %v, want once and tight", collected, changes)
	}
	used = 100
	g.look(now.Add(2 * time.Second))
	if len(changes) != 2 || changes[1].To != Ample {
		t.Errorf("the end of a stage: told %v", changes)
	}
}

func TestResident(t *testing.T) {
	if n := Resident(); n < 1<<20 {
		t.Errorf("Resident() = %d, want the memory of this process", n)
	}
}
