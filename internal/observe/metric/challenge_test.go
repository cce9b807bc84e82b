package metric

import (
	"strconv"
	"strings"
	"testing"

	"sentinel/internal/dataplane/challenge"
)

// TestChallenges checks that each count is shown under its name, and that all are there before
// anything is challenged.
func TestChallenges(t *testing.T) {
	r := New(Options{Cells: 1})
	if n := strings.Count(scrape(t, r), "\nsentinel_challenges_"); n != 10+len(challenge.Bypasses()) {
		t.Errorf("%d series at start, want %d", n, 10+len(challenge.Bypasses()))
	}
	var n challenge.Counters
	r.SetChallenges(&n)
	n.Issued.Store(1)
	n.Refused.Store(2)
	n.Passed.Store(3)
	n.Solved.Store(4)
	n.Waited.Store(5)
	n.Early.Store(6)
	n.Replayed.Store(7)
	n.Failed.Store(8)
	n.Looped.Store(9)
	n.Shadowed.Store(10)
	n.Bypassed[challenge.BypassACME].Store(11)
	text := scrape(t, r)
	for i, outcome := range strings.Fields("issued refused passed solved waited early replayed failed looped shadowed") {
		if want := "sentinel_challenges_total{outcome=\"" + outcome + "\"} " + strconv.Itoa(i+1) + "\n"; !strings.Contains(text, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if !strings.Contains(text, `sentinel_challenges_bypassed_total{reason="acme"} 11`+"\n") {
		t.Error("no bypass in the metrics")
	}
}
