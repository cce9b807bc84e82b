package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"

	"github.com/rogpeppe/go-internal/testscript"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// twoUpstreams are an upstream with one target in each plight, and its fallback.
func twoUpstreams() []admin.UpstreamStatus {
	return []admin.UpstreamStatus{
		{Name: "primary", Balancing: "least_connections", Panic: true, InProgress: 5, Pending: 7, Fallback: []string{"backup"}, Targets: []admin.TargetStatus{
			{
				Address: "10.0.0.1:80", Weight: 2, EffectiveWeight: 2, State: admin.TargetHealthy, Since: noon.Add(-2 * time.Hour), Breaker: admin.BreakerStatus{State: admin.BreakerClosed},
				InProgress: 3, Open: 4, Idle: 1, LatencyMillis: 1.234, Requests: 1000, Failures: 1,
			},
			{
				Address: "web.internal:80", Resolved: "10.0.0.2:80", Weight: 1, EffectiveWeight: 0, State: admin.TargetUnhealthy, Since: noon.Add(-41 * time.Second), Cause: "connection refused",
				Breaker:  admin.BreakerStatus{State: admin.BreakerOpen, Cause: "5 failures in a row", Since: noon.Add(-12 * time.Second), Until: noon.Add(18 * time.Second)},
				Requests: 10, Failures: 5, Probe: json.RawMessage(`{"status":0}`), ProbeText: []string{"resolve web.internal: 10.0.0.2", "connect 10.0.0.2:80: connection refused\x1b[2J"},
			},
			{Address: "10.0.0.3:80", Weight: 1, State: admin.TargetEjected, Since: noon.Add(-5 * time.Second), Cause: "502 five times in a row", EjectedUntil: noon.Add(25 * time.Second)},
			{Address: "10.0.0.4:80", Weight: 1, State: admin.TargetDraining, Since: noon.Add(-5 * time.Second), Cause: "kernel update", InProgress: 2},
		}},
		{Name: "backup", Balancing: "round_robin", Drained: true, Targets: []admin.TargetStatus{{Address: "10.0.1.1:80", Weight: 1, EffectiveWeight: 1, State: admin.TargetUnknown}}},
	}
}

// fakeOperated is what an operator finds at the admin socket. Each question for the
// upstreams finds one request less where something drains.
type fakeOperated struct {
	mu   sync.Mutex
	list []admin.UpstreamStatus
	sure bool // requests in progress stay

	problem string // of a certificate
}

func (f *fakeOperated) Status() admin.Status { return admin.Status{} }
func (f *fakeOperated) Config() admin.Config { return admin.Config{} }
func (f *fakeOperated) Reload(context.Context, admin.ReloadRequest, *admin.Actor) admin.Outcome {
	return admin.Outcome{}
}

func (f *fakeOperated) Upstreams() []admin.UpstreamStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.list)
	for i := range out {
		out[i].Targets = slices.Clone(out[i].Targets)
		for j := range out[i].Targets {
			if t := &f.list[i].Targets[j]; t.State == admin.TargetDraining && t.InProgress > 0 && !f.sure {
				t.InProgress--
			}
		}
	}
	return out
}

func (f *fakeOperated) Drain(q admin.DrainRequest, _ admin.Actor) (admin.DrainResult, error) {
	upstream, target, undo := q.Upstream, q.Target, q.Undo
	f.mu.Lock()
	defer f.mu.Unlock()
	var r admin.DrainResult
	for i := range f.list {
		u := &f.list[i]
		if u.Name == upstream && target == "" {
			r.Changed, r.InProgress, u.Drained = u.Drained == undo, u.InProgress, !undo
		}
		for j := range u.Targets {
			if t := &u.Targets[j]; u.Name == upstream && t.Is(target) {
				r.Changed, r.InProgress = (t.State == admin.TargetDraining) == undo, t.InProgress
				t.State = admin.TargetDraining
				if undo {
					t.State = admin.TargetHealthy
				}
			}
		}
	}
	return r, nil
}

// Certificates are one of each kind. They end far from now, so that what is printed of them
// stays the same.
func (f *fakeOperated) Certificates() []admin.Certificate {
	end := time.Date(2199, 1, 2, 3, 4, 5, 0, time.UTC)
	return []admin.Certificate{
		{
			Side: "listener", Name: "https", Role: "server", Names: []string{"a.example", "b.example", "c.example", "d.example"}, Default: true,
			File: "/certs/server.crt", KeyFile: "/certs/server.key", Subject: "CN=a.example", Issuer: "CN=between\x1b[2J", Serial: "ab", NotAfter: end, DaysLeft: 40,
		},
		{Side: "listener", Name: "https", Role: "chain", File: "/certs/server.crt", Subject: "CN=between", Issuer: "CN=root", Serial: "1", NotAfter: end, DaysLeft: 4000},
		{Side: "upstream", Name: "primary", Role: "client", Names: []string{"proxy"}, File: "/certs/client.crt", Subject: "CN=proxy", Issuer: "CN=root", Serial: "2", NotAfter: noon, DaysLeft: -1, Problem: f.problem},
	}
}

// serveOperated serves f at path until end is called.
func serveOperated(path string, f *fakeOperated) (events *event.Log, end func(), err error) {
	var ln net.Listener
	if ln, err = admin.Listen(path); err != nil {
		return nil, nil, err
	}
	events = event.New(100, slog.New(slog.DiscardHandler))
	s := admin.NewServer(f, admin.Version{})
	s.AddUpstreams(f)
	s.AddEvents(events)
	s.AddCertificates(f)
	go s.Serve(ln)
	return events, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Close(ctx)
	}, nil
}

type operatedKey struct{}

type operated struct {
	*fakeOperated
	events *event.Log
	end    func()
}

// TestOperatorScripts runs what an operator could type while a fake process answers at
// the admin socket. Beside the usual commands a script has
//
//	hold         requests at 10.0.0.4:80, which drains, no longer end
//	stop         the process ends
//	emit TARGET  a target of upstream "primary" becomes unhealthy now
func TestOperatorScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/operator",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			f := &fakeOperated{list: twoUpstreams()}
			path := env.WorkDir + "/admin.sock"
			events, end, err := serveOperated(path, f)
			if err != nil {
				return err
			}
			end = sync.OnceFunc(end)
			env.Defer(end)
			env.Setenv("SENTINEL_CONFIG", env.WorkDir+"/config.kdl")
			env.Values[operatedKey{}] = &operated{f, events, end}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"hold": func(ts *testscript.TestScript, _ bool, _ []string) {
				o := ts.Value(operatedKey{}).(*operated)
				o.mu.Lock()
				defer o.mu.Unlock()
				o.sure = true
				o.list[0].Targets[3].InProgress = 2
			},
			"stop": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value(operatedKey{}).(*operated).end() },
			"emit": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Value(operatedKey{}).(*operated).events.Emit(event.Event{
					Kind: event.KindHealth, Worse: true, Upstream: "primary", Target: args[0],
					From: admin.TargetHealthy, To: admin.TargetUnhealthy, Cause: "connection refused",
				})
			},
		},
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

var errAsk = errors.New("no answer")
