package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
)

// A part of a configuration is asked about, places and all; what it says wrongly is told.
func TestWhatIfRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "part.kdl")
	load := func(text string) (admin.WhatIfRequest, string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, sources, diags := schema.Load(file, schema.Options{Fragment: true})
		return whatIfRequest(cfg), string(diags.AppendText(nil, sources.Text))
	}
	q, problems := load(`rate-limit { requests-per-second 5; mode "shadow" }
listeners { listener "l" { limits { max-connections 7 }; rate-limit "x" { requests-per-minute 30; burst 3; key "path"; action "log" } } }
routes { route "r" { rate-limit { burst 9; action "delay" } } }
limits { max-connections-per-client 2 }`)
	if problems != "" || len(q.Limits) != 3 || q.Whole {
		t.Fatalf("asks %+v\n%s", q, problems)
	}
	for i, want := range []admin.WhatIfLimit{
		{Name: "default", PerSecond: 5, Burst: 5, Key: []string{"client_ip"}},
		{Name: "x", Listener: "l", PerMinute: 30, Burst: 3, Key: []string{"path"}, OnlyNotes: true},
		{Name: "default", Route: "r", PerSecond: 5, Burst: 9, Key: []string{"client_ip"}, DelaySecs: 1},
	} {
		got := q.Limits[i]
		if got.Name != want.Name || got.Listener != want.Listener || got.Route != want.Route || got.PerSecond != want.PerSecond || got.PerMinute != want.PerMinute ||
			got.Burst != want.Burst || got.Key[0] != want.Key[0] || got.OnlyNotes != want.OnlyNotes || got.DelaySecs != want.DelaySecs || got.Keys != 65536 {
			t.Errorf("limit %d = %+v, want %+v", i, got, want)
		}
	}
	if len(q.Connections) != 2 || q.Connections[0] != (admin.WhatIfBound{Key: "max-connections-per-client", Limit: 2}) || q.Connections[1] != (admin.WhatIfBound{Listener: "l", Key: "max-connections", Limit: 7}) {
		t.Errorf("bounds = %+v", q.Connections)
	}
	if _, problems := load(`rate-limit { burst 5; nonsense 1 }`); !strings.Contains(problems, "nonsense") || !strings.Contains(problems, "has no rate") {
		t.Errorf("problems of a wrong part:\n%s", problems)
	}
	if q, problems := load(`listeners { listener "l" { address "127.0.0.1:1" } }`); problems != "" || !q.Whole {
		t.Errorf("a whole configuration: %+v\n%s", q, problems)
	}
}

func TestPrintWhatIf(t *testing.T) {
	var b strings.Builder
	err := printWhatIf(&b, &admin.WhatIf{
		Seconds: 120.5, Requests: 4000,
		Limits: []admin.WhatIfAnswer{
			{
				WhatIfLimit: admin.WhatIfLimit{Name: "default", PerSecond: 5, Burst: 10, Key: []string{"client_ip", "path"}},
				Requests:    4000, Refused: 100, Margin: 3, Clients: 50, Hit: 2, Worst: []admin.WhatIfClient{{Client: "192.0.2.7", Requests: 500, Refused: 90}},
			},
			{WhatIfLimit: admin.WhatIfLimit{Name: "x", Route: "r", PerMinute: 6, Burst: 1, Key: []string{"cookie:id"}}, Unknown: "the values of a cookie aren't remembered"},
		},
		Connections: []admin.WhatIfBoundAnswer{
			{WhatIfBound: admin.WhatIfBound{Key: "max-connections", Limit: 100, Listener: "l"}, Now: 90, Peak: 120, Over: 7},
			{WhatIfBound: admin.WhatIfBound{Key: "max-connections-per-client", Limit: 10}, Clients: 2, Excess: 5, Now: 13, Largest: "192.0.2.7"},
			{WhatIfBound: admin.WhatIfBound{Key: "max-body-size", Limit: 1000}, Unknown: "it isn't remembered"},
		},
	}, 300)
	if err != nil {
		t.Fatal(err)
	}
	want := `4000 requests in the last 2m0s: what came before isn't remembered

rate-limit "default" of the top level: 5 per second, burst 10, by client_ip path
  100 of 4000 requests refused (2.5%), to within 3
  2 of 50 clients hit
    192.0.2.7: 90 of 500 requests

rate-limit "x" of the route "r": 6 per minute, burst 1, by cookie:id
  can't be told: the values of a cookie aren't remembered

max-connections 100 of listener "l":  now 90, at most 120, above it in 7 of the last 300 seconds
max-connections-per-client 10:        now 2 clients above it, with 5 connections too many; most has 192.0.2.7: 13
max-body-size 1000:                   can't be told: it isn't remembered

Nothing was changed. To watch a limit without its effect, put it into the configuration
with mode "shadow", sentinel reload, and look at
sentinel_rate_limited_total{outcome="shadowed"}; to apply it, without.
`
	if b.String() != want {
		t.Errorf("printWhatIf wrote\n%s\nwant\n%s", b.String(), want)
	}
}
