package exchange

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/testkit/race"
)

// challenged returns an exchange of a browser on a listener where clients with more
// than a thousand requests a minute are challenged.
func challenged(t *testing.T, mode challenge.Mode) *exchange {
	t.Helper()
	clock := netio.NewClock()
	t.Cleanup(clock.Stop)
	keys, err := challenge.ParseKeys([]byte(strings.Repeat("a1", 32)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := limit.ParseKey([]string{"client_ip"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	const threshold = 1000
	table := func() *limit.Table {
		return limit.NewTable(limit.Rule{Requests: threshold, Per: time.Minute, Entries: 128})
	}
	s := &snapshot.Security{Policy: challenge.Policy{Mode: mode, Threshold: threshold}, Key: key, Clients: table(), Floods: table()}
	x := &exchange{request: request{
		p: New(Options{Clock: clock}), route: &snapshot.Route{}, ln: &snapshot.Listener{Security: s}, client: netip.MustParseAddr("192.0.2.7"),
		s:   &snapshot.Snapshot{LimitSeed: limit.NewSeed(), Challenger: challenge.New(challenge.Options{}, keys, new(challenge.State))},
		req: &message.Request{Client: new(message.Client)}, matched: []byte("/"), id: []byte("7f3a"),
	}}
	x.setHead("GET", "/", "shop.example")
	x.addField(message.FieldAccept, "Accept", "text/html")
	return x
}

// put appends text to the head and returns where it stands.
func (x *exchange) put(text string) message.Span {
	h := &x.req.Head
	start := len(h.Buf)
	h.Buf = append(h.Buf, text...)
	return message.Span{Start: uint16(start), End: uint16(len(h.Buf))}
}

func (x *exchange) setHead(method, path, host string) {
	h := &x.req.Head
	h.MethodAt, h.Path, h.Authority = x.put(method), x.put(path), x.put(host)
}

func (x *exchange) addField(id message.FieldID, name, value string) {
	x.req.Head.Fields = append(x.req.Head.Fields, message.Field{ID: id, Name: x.put(name), Value: x.put(value)})
}

// TestChallengeAllocates checks that nothing is allocated for a request that goes on, nor for
// the decision that one doesn't.
func TestChallengeAllocates(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector empties pools")
	}
	for _, test := range []struct {
		name    string
		mode    challenge.Mode
		prepare func(x *exchange)
		want    fault.Kind
	}{
		{"nobody is challenged", challenge.Disabled, func(x *exchange) { x.ln.Security = nil }, fault.None},
		{"below the threshold", challenge.Enabled, func(x *exchange) {}, fault.None},
		{"with a token", challenge.Always, func(x *exchange) {
			token := x.s.Challenger.AppendToken([]byte("a=b; sentinel-pass4="), []byte("shop.example"), x.client, x.unixSeconds())
			x.addField(message.FieldCookie, "Cookie", string(token))
		}, fault.None},
		{"challenged", challenge.Always, func(x *exchange) {}, fault.ChallengeFailed},
	} {
		x := challenged(t, test.mode)
		test.prepare(x)
		if got := x.challenge(); got != test.want {
			t.Errorf("%s: challenge = %v, want %v", test.name, got, test.want)
		}
		if n := testing.AllocsPerRun(400, func() { x.challenge() }); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
}
