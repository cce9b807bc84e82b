package balance

import (
	"math"
	"testing"
	"time"
)

func TestParseKind(t *testing.T) {
	for _, k := range kinds {
		if got, ok := ParseKind(k.String()); !ok || got != k {
			t.Errorf("ParseKind(%q) = %v, %v", k.String(), got, ok)
		}
	}
	for _, test := range []struct {
		name string
		want Kind
		ok   bool
	}{
		{"round-robin", RoundRobin, true},
		{"power-of-two_choices", PowerOfTwo, true},
		{"Round_Robin", 0, false},
		{"", 0, false},
		{"unknown", 0, false},
	} {
		if got, ok := ParseKind(test.name); got != test.want || ok != test.ok {
			t.Errorf("ParseKind(%q) = %v, %v, want %v, %v", test.name, got, ok, test.want, test.ok)
		}
	}
	if got := Kind(200).String(); got != "unknown" {
		t.Errorf("Kind(200) = %q", got)
	}
}

func TestRamp(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		weight             int
		since, window, now time.Duration
		want               int
	}{
		{100, 10 * s, 30 * s, 10 * s, 10},
		{100, 10 * s, 30 * s, 25 * s, 55},
		{100, 10 * s, 30 * s, 40 * s, 100},
		{100, 10 * s, 30 * s, 90 * s, 100},
		{100, 10 * s, 30 * s, 5 * s, 10},
		{1, 10 * s, 30 * s, 10 * s, 1},
		{0, 10 * s, 30 * s, 10 * s, 0},
		{-1, 0, 0, 0, 0},
		{7, 10 * s, 0, 10 * s, 7},
		{100000, 0, 10 * s, 5 * s, 55000},
	} {
		if got := Ramp(test.weight, test.since, test.window, test.now); got != test.want {
			t.Errorf("Ramp(%d, %v, %v, %v) = %d, want %d", test.weight, test.since, test.window, test.now, got, test.want)
		}
	}
}

func TestExponential(t *testing.T) {
	for _, u := range []float64{1e-9, 0.001, 0.01, 0.1, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9, 0.99, 0.9999} {
		got, want := exponential(uint64(u*(1<<63))<<1), -math.Log(u)
		if math.Abs(got-want) > 0.002*want {
			t.Errorf("exponential of %v = %v, want %v within 0.2 %%", u, got, want)
		}
	}
	if got := exponential(math.MaxUint64); got < 0 || got > 1e-9 {
		t.Errorf("exponential of 1 = %v", got)
	}
	if got := exponential(0); math.IsInf(got, 0) || got < 30 {
		t.Errorf("exponential of the lowest = %v", got)
	}
}
