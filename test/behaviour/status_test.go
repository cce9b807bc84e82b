package behaviour

import (
	"testing"

	"sentinel/internal/testkit/origin"
)

// The status tells how each target is.
func TestStatusTellsTargets(t *testing.T) {
	o := origin.Start(t, origin.Status(500))
	p := start(t, "", forward(o, "", `health-check { type "http" { path "/" }; interval-secs 1 }`))
	state := func() string {
		ups := p.Status().Upstreams
		if len(ups) != 1 || len(ups[0].Targets) != 1 {
			t.Fatalf("the status has upstreams %+v, want one with one target", ups)
		}
		return ups[0].Targets[0].State
	}
	eventually(t, "the status says unhealthy", func() bool { return state() == "unhealthy" })
	o.SetScript(origin.OK(2))
	eventually(t, "the status says healthy", func() bool { return state() == "healthy" })
}
