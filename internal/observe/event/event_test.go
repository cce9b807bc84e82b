package event

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"sentinel/internal/observe/journal"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 123e6, time.UTC)

// page is what a log has written.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func newLog(size int) (*Log, *page) {
	var b page
	return New(size, journal.New(journal.To(&b, journal.EncodingText), slog.LevelInfo).Logger()), &b
}

// Every event is written in one form, by the log and by AppendText.
func TestLine(t *testing.T) {
	for _, c := range []struct {
		e    Event
		want string
	}{
		{
			Event{Kind: KindHealth, Worse: true, Upstream: "a", Target: "10.0.0.1:80", From: "healthy", To: "unhealthy", Cause: "connection refused"},
			`WARN target unhealthy, upstream="a", target="10.0.0.1:80", from="healthy", to="unhealthy", cause="connection refused"`,
		},
		{Event{Kind: KindHealth, Upstream: "a", Target: "10.0.0.1:80", To: "healthy"}, `INFO target healthy, upstream="a", target="10.0.0.1:80", to="healthy"`},
		{Event{Kind: KindBreaker, Worse: true, Target: "t", To: "open", Cause: "5 failures"}, `WARN breaker open, target="t", to="open", cause="5 failures"`},
		{Event{Kind: KindEjection, Worse: true, To: "ejected"}, `WARN target ejected, to="ejected"`},
		{Event{Kind: KindPanic, Worse: true, Upstream: "a"}, `ERROR panic began, upstream="a"`},
		{Event{Kind: KindPanic, Upstream: "a"}, `INFO panic ended, upstream="a"`},
		{Event{Kind: KindFailover, Worse: true, Route: "r", From: "a", To: "b"}, `WARN failover began, route="r", from="a", to="b"`},
		{Event{Kind: KindDrain, Worse: true, Upstream: "a", To: "draining", Cause: "disk", Detail: "by root"}, `WARN upstream draining, upstream="a", to="draining", cause="disk", detail="by root"`},
		{Event{Kind: KindDrain, Upstream: "a", Target: "t", To: "serving"}, `INFO target serving, upstream="a", target="t", to="serving"`},
		{Event{Kind: KindNames, Target: "t"}, `INFO names changed, target="t"`},
		{Event{Kind: KindQueue, Worse: true}, `WARN queue full`},
		{Event{Kind: KindReload}, `INFO reload succeeded`},
		{Event{Kind: KindBan, Worse: true, Client: "192.0.2.0/24", To: "banned", Cause: "flood"}, `WARN client banned, client="192.0.2.0/24", to="banned", cause="flood"`},
		{Event{Kind: KindListener, To: "open"}, `INFO listener open, to="open"`},
		{Event{Kind: "odd\nkind"}, `INFO odd\nkind changed`},
		{Event{Kind: KindHealth, To: "healthy", Cause: "x\"\n2026 WARN forged"}, `INFO target healthy, to="healthy", cause="x\x22\n2026 WARN forged"`},
	} {
		want := "2026-11-24T12:00:00.123Z " + c.want
		c.e.Time = noon
		if got := string(c.e.AppendText(nil)); got != want {
			t.Errorf("AppendText(%+v) = %s, want %s", c.e, got, want)
		}
		l, out := newLog(4)
		l.Emit(c.e)
		if got := out.String(); got != want+"\n" {
			t.Errorf("Emit(%+v) logs %q, want %q", c.e, got, want+"\n")
		}
	}
}

func TestEveryKindHasAMessage(t *testing.T) {
	for _, k := range Kinds() {
		worse, better := Event{Kind: k, Worse: true, To: "x"}, Event{Kind: k, To: "y"}
		if m := worse.Message(); m == "" || m == better.Message() {
			t.Errorf("Message() of %s is %q for the worse and %q for the better", k, m, better.Message())
		}
	}
}

func TestJSON(t *testing.T) {
	e := Event{Severity: Warning, Seq: 7, Time: noon, Kind: KindHealth, Worse: true, Upstream: "a", To: "unhealthy"}
	b, err := json.Marshal(e)
	want := `{"seq":7,"time":"2026-11-24T12:00:00.123Z","kind":"health","worse":true,"severity":"warning","upstream":"a","to":"unhealthy"}`
	if err != nil || string(b) != want {
		t.Errorf("Marshal = %s, %v, want %s", b, err, want)
	}
}

func TestSilentLevel(t *testing.T) {
	var b bytes.Buffer
	l := New(4, journal.New(journal.To(&b, journal.EncodingText), slog.LevelWarn).Logger())
	l.Emit(Event{Kind: KindHealth, To: "healthy"})
	l.Emit(Event{Kind: KindHealth, To: "unhealthy", Worse: true})
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "unhealthy") {
		t.Errorf("at level warn the log holds %q, want the change for the worse only", got)
	}
}

// What makes requests fail is critical; what is worse but survived a warning; an event may say
// otherwise.
func TestSeverity(t *testing.T) {
	for _, c := range []struct {
		e    Event
		want Severity
	}{
		{Event{Kind: KindHealth}, Info},
		{Event{Kind: KindHealth, Worse: true, To: "unhealthy"}, Warning},
		{Event{Kind: KindUpstream, Worse: true}, Critical},
		{Event{Kind: KindUpstream}, Info},
		{Event{Kind: KindMemory, Worse: true, To: "tight"}, Warning},
		{Event{Kind: KindMemory, Worse: true, To: "short"}, Critical},
		{Event{Kind: KindCertificate, Worse: true, To: "expires soon"}, Warning},
		{Event{Kind: KindCertificate, Worse: true, To: "expired"}, Critical},
		{Event{Kind: KindReload, Worse: true, Severity: Critical}, Critical},
	} {
		l, _ := newLog(4)
		l.Emit(c.e)
		if got := l.Since(0, 0)[0].Severity; got != c.want {
			t.Errorf("Emit(%+v) keeps severity %q, want %q", c.e, got, c.want)
		}
	}
	if !Critical.AtLeast(Warning) || Info.AtLeast(Warning) || !Info.AtLeast("") {
		t.Error("AtLeast doesn't order the severities")
	}
}
