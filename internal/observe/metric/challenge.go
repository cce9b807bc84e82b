package metric

import "sentinel/internal/dataplane/challenge"

// SetChallenges makes n what is shown of challenges; without it, zeros are.
func (r *Registry) SetChallenges(n *challenge.Counters) { r.challenges.Store(n) }

func (v *view) challengeCounters() *challenge.Counters {
	if n := v.challenges.Load(); n != nil {
		return n
	}
	return new(challenge.Counters)
}

func challengeFamilies() []family {
	return []family{
		row("sentinel_challenges_total", Counter, "What became of challenges: issued, refused, passed, shadowed for requests over a threshold; solved, waited, early, replayed, failed, looped for answers.",
			collectChallenges, "outcome"),
		row("sentinel_challenges_bypassed_total", Counter, "Requests over a threshold that went on without a challenge, by reason.",
			collectBypassed, "reason"),
	}
}

func collectChallenges(v *view, e emitter) {
	n := v.challengeCounters()
	for _, c := range []struct {
		outcome string
		count   uint64
	}{
		{"issued", n.Issued.Load()},
		{"refused", n.Refused.Load()},
		{"passed", n.Passed.Load()},
		{"solved", n.Solved.Load()},
		{"waited", n.Waited.Load()},
		{"early", n.Early.Load()},
		{"replayed", n.Replayed.Load()},
		{"shadowed", n.Shadowed.Load()},
		{"failed", n.Failed.Load()},
		{"looped", n.Looped.Load()},
	} {
		e.counter(float64(c.count), c.outcome)
	}
}

func collectBypassed(v *view, e emitter) {
	n := v.challengeCounters()
	for _, b := range challenge.Bypasses() {
		e.counter(float64(n.Bypassed[b].Load()), b.String())
	}
}
