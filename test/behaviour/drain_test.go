package behaviour

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"sentinel/internal/cli"
	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// commandVariable makes this binary the command "sentinel".
const commandVariable = "SENTINEL_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandVariable) != "" {
		os.Exit(cli.Main())
	}
	os.Exit(m.Run())
}

// sentinel runs a command against the proxy and returns what it says; it must succeed.
func (p *proxy) sentinel(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(os.Args[0], append(args, "--admin-socket", p.AdminSocket())...)
	cmd.Env = append(os.Environ(), commandVariable+"=1")
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("sentinel %q: %v\n%s%s", args, err, out, &errors)
	}
	return string(out)
}

// want checks that all words are in a text.
func want(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s says %q, want %q in it", what, text, w)
		}
	}
}

// hold sends requests until one has entered a target, and returns where its answer will come.
func (p *proxy) hold(entered <-chan origin.Request) <-chan rawclient.Response {
	for {
		answer := make(chan rawclient.Response, 1)
		go func() {
			r, err := p.visit()
			if err != nil {
				p.t.Error(err)
			}
			answer <- r
		}()
		select {
		case <-entered:
			return answer
		case <-answer:
		}
	}
}

// TestDrain drains a target with a request in progress by the command line, and lets it
// serve again.
func TestDrain(t *testing.T) {
	a, b := newMember(t, "a"), newMember(t, "b")
	text := group("", "", a, b)
	p := start(t, "", text)
	entered, release := make(chan origin.Request, 16), make(chan struct{})
	a.Set(origin.Held(entered, release, origin.Reply(200, "a")))
	held := p.hold(entered)
	name := "u/" + a.Addr()
	want(t, "drain", p.sentinel("drain", name, "--reason", "kernel update"), "takes no new requests. 1 request in progress.",
		"To undo: sentinel drain "+name+" --undo")
	only := func(when string) {
		t.Helper()
		before := a.hits.Load()
		for range 10 {
			if r := p.do("GET", "/"); r.Text() != "b" {
				t.Errorf("%s: %d %q, want b", when, r.Status, r.Text())
			}
		}
		if a.hits.Load() != before {
			t.Errorf("%s: the target got requests", when)
		}
	}
	only("drained")
	want(t, "upstreams u", p.sentinel("upstreams", "u"), a.Addr(), "draining", "kernel update")
	p.reload(text + "\n// the same\n")
	only("drained, after a reload")
	if got := p.target("u", a.Addr()).State; got != admin.TargetDraining {
		t.Errorf("after a reload, with a request in progress, the target is %s", got)
	}
	close(release)
	if r := <-held; r.Text() != "a" {
		t.Errorf("the request that was in progress = %d %q", r.Status, r.Text())
	}
	p.awaitState("u", a.Addr(), admin.TargetDrained)
	eventually(t, "the end of the drain is told", func() bool {
		return slices.ContainsFunc(p.events(event.KindDrain), func(e event.Event) bool { return e.To == "drained" && e.Target == a.Addr() })
	})
	want(t, "drain --wait", p.sentinel("drain", name, "--wait"), "nothing has changed", "Drained: no request is in progress.")
	want(t, "events", p.sentinel("events", "--kind", "drain"), "WARN target draining", `cause="kernel update"`, "target drained")
	var list []admin.UpstreamStatus
	if err := json.Unmarshal([]byte(p.sentinel("upstreams", "--json")), &list); err != nil || len(list) != 1 || len(list[0].Targets) != 2 {
		t.Errorf("upstreams --json = %+v, %v", list, err)
	}
	p.reload(group("", "", b))
	p.reload(text)
	only("drained, removed and back")
	want(t, "drain --undo", p.sentinel("drain", name, "--undo"), "takes requests again.")
	eventually(t, "the target gets requests", func() bool { return p.do("GET", "/").Text() == "a" })
	want(t, "events", p.sentinel("events"), "INFO target serving")
}

// TestDrainUpstream drains an upstream as a whole: its requests go to the fallback.
func TestDrainUpstream(t *testing.T) {
	a, b := newMember(t, "a"), newMember(t, "b")
	p := start(t, "", pair("", "", a, b))
	want(t, "drain", p.sentinel("drain", "u"), `Upstream "u" takes no new requests. 0 requests in progress.`, "note: ")
	if r := p.do("GET", "/"); r.Text() != "b" {
		t.Errorf("with the upstream drained = %d %q, want the fallback", r.Status, r.Text())
	}
	p.reload(group("", "", a))
	if r := p.do("GET", "/"); r.Status != 503 || !strings.Contains(r.Text(), "U18") || r.Fields.Get("Retry-After") == "" {
		t.Errorf("with the upstream drained and no fallback = %s", r.Raw)
	}
	p.sentinel("drain", "u", "--undo")
	eventually(t, "the upstream gets requests", func() bool { return p.do("GET", "/").Text() == "a" })
}

// TestRemovedTargetFinishes has a reload remove a target with requests in progress.
func TestRemovedTargetFinishes(t *testing.T) {
	a, b := newMember(t, "a"), newMember(t, "b")
	p := start(t, "", group("", "", a))
	entered, release, step := make(chan origin.Request, 1), make(chan struct{}), make(chan struct{})
	a.Set(origin.Held(entered, release, origin.Reply(200, "a")))
	waiting := p.send("/")
	<-entered
	a.Set(origin.Trickle(10, step))
	reading := p.send("/")
	eventually(t, "the download begins", func() bool { return a.hits.Load() == 2 })
	step <- struct{}{}
	p.reload(group("", "", b))
	if r := p.do("GET", "/"); r.Text() != "b" {
		t.Errorf("after the reload = %d %q, want the new target", r.Status, r.Text())
	}
	close(release)
	close(step)
	if r := answered(t, waiting, 200); r.Text() != "a" {
		t.Errorf("the request that waited for the removed target = %q", r.Text())
	}
	if r := answered(t, reading, 200); len(r.Text()) != 10 {
		t.Errorf("the download from the removed target has %d bytes of 10", len(r.Text()))
	}
}
