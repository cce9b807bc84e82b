package behaviour

import (
	"strings"
	"testing"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
	testproxy "sentinel/internal/testkit/proxy"
)

// TestDrainEnds has a drain end by itself, and another one survive a new process.
func TestDrainEnds(t *testing.T) {
	a, b := newMember(t, "a"), newMember(t, "b")
	dir := t.TempDir()
	text := "listeners { listener \"l\" { address \"127.0.0.1:0\" } }\nsystem { pid-file \"$DIR/pid\"; admin-socket \"$DIR/admin.sock\"; state-dir \"" + dir + "\" }\n" + group("", "", a, b)
	begin := func() *proxy {
		first := testproxy.Start(t, text)
		return &proxy{first, t, first.Addr("l")}
	}
	p := begin()
	want(t, "drain --for", p.sentinel("drain", "u/"+a.Addr(), "--for", "6s"), "takes no new requests for 6s, until ")
	p.overrideGauge("drain", "1")
	p.awaitState("u", a.Addr(), admin.TargetDrained)
	p.awaitState("u", a.Addr(), admin.TargetUnknown)
	ended := false
	for _, e := range p.events(event.KindDrain) {
		ended = ended || e.To == "serving" && e.Cause == "its time is over" && e.Target == a.Addr()
	}
	if !ended {
		t.Errorf("the end isn't told: %+v", p.events(event.KindDrain))
	}
	want(t, "emergency drain", p.emergency("drain", "u/"+b.Addr(), "--reason", "disk"), "for 30m 0s, until ")
	want(t, "a drain again", p.sentinel("drain", "u/"+b.Addr(), "--for", "2h"), "for 2h 0m, until ", "it was drained already")
	p.Stop()
	p = begin()
	for range 10 {
		if r := p.do("GET", "/"); r.Text() != "a" {
			t.Errorf("after a restart %q answers, want a", r.Text())
		}
	}
	if said := p.sentinel("upstreams", "u"); !strings.Contains(said, "disk") {
		t.Errorf("upstreams says %q", said)
	}
	want(t, "the list", p.emergency("list"), "is drained: sentinel drain u/"+b.Addr()+" --undo")
}
