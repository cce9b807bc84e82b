package upstream

import (
	"slices"
	"testing"
	"time"

	"sentinel/internal/dataplane/outlier"
	"sentinel/internal/dataplane/queue"
)

// next returns a generation behind f with the same targets, as a reload makes it.
func (f *fixture) next(s Settings) *Upstream {
	u := New("u", s, f.Shared, f.notify)
	u.SetTargets(f.targets, 0)
	return u
}

func usable(u *Upstream) (names []string) {
	for _, t := range u.view.Load().targets {
		names = append(names, t.Address)
	}
	return names
}

// A request that came before a reload is the one whose failure ejects a target: those that
// come after it must not be sent there.
func TestLearnedBeforeAReload(t *testing.T) {
	f := newFixture(t, Settings{}, 1, 1, 1)
	a := f.targets[0]
	a.Outlier = outlier.New(outlier.Config{ConsecutiveFailures: 1, Ejection: time.Minute, MaxEjectedPercent: 50},
		&f.Group, func(outlier.Change) { f.Learned() })
	var c Choice
	for { // until it is at a
		c = Choice{}
		if err := f.Pick(&c, 0); err != nil {
			t.Fatal(err)
		}
		if c.Target == a {
			break
		}
		c.Done(0, 0, OK)
	}
	next := f.next(Settings{})
	c.Done(time.Second, time.Second, Failed)
	if got, want := usable(next), []string{"b", "c"}; !slices.Equal(got, want) {
		t.Errorf("behind the reload %v take requests, want %v", got, want)
	}
}

// An upstream that stays down over reloads is told down once.
func TestStateOutlivesReloads(t *testing.T) {
	f := newFixture(t, Settings{PanicPercent: 50}, 1)
	f.targets[0].SetVerdict(Unhealthy, 0)
	f.Refresh(0)
	f.next(Settings{PanicPercent: 50})
	last := f.next(Settings{PanicPercent: 50})
	f.targets[0].SetVerdict(Healthy, 0)
	last.Refresh(0)
	var told []string
	for _, c := range f.changes {
		told = append(told, c.From+" to "+c.To)
	}
	if want := []string{"normal to down", "down to normal"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// What an old generation notices leaves the limits alone that the new one brought.
func TestOldGenerationSetsNoLimits(t *testing.T) {
	limits := func(n int) Settings {
		return Settings{RequestsMax: n, Queue: queue.Limits{Pending: 1, Wait: time.Second}}
	}
	f := newFixture(t, limits(1), 1)
	f.next(limits(2))
	f.Refresh(0)
	for i := range 2 {
		if _, err := f.Gate.Enter(0, 0, queue.Normal); err != nil {
			t.Errorf("request %d of 2 that may be in progress: %v", i+1, err)
		}
	}
}

// A target that the checks find healthy again is not kept out by what it answered before.
func TestRecoveredEndsAnEjection(t *testing.T) {
	f := newFixture(t, Settings{}, 1, 1)
	a := f.targets[0]
	a.Outlier = outlier.New(outlier.Config{ConsecutiveFailures: 1, Ejection: time.Minute, MaxEjectedPercent: 50}, &f.Group, nil)
	a.Outlier.Done(0, outlier.Failure)
	a.SetVerdict(Unhealthy, 0)
	f.Refresh(0)
	if got, want := usable(f.Upstream), []string{"b"}; !slices.Equal(got, want) {
		t.Fatalf("%v take requests, want %v", got, want)
	}
	a.SetVerdict(Healthy, time.Second)
	f.Recovered(a.Endpoint, time.Second)
	if got, want := usable(f.Upstream), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("behind a check that succeeded %v take requests, want %v", got, want)
	}
}
