package challenge

import (
	"testing"
)

func TestDecide(t *testing.T) {
	c := newChallenger(t, keyA)
	always := &Policy{Mode: Always}
	set := func(change func(*Facts)) *Facts { return visit("/x").with(change) }
	for _, test := range []struct {
		name   string
		policy *Policy
		facts  *Facts
		action Action
		bypass Bypass
	}{
		{"disabled", &Policy{}, visit("/x"), Pass, NotBypassed},
		{"at the threshold", policy, set(func(f *Facts) { f.Rate = 100 }), Pass, NotBypassed},
		{"over the threshold", policy, set(func(f *Facts) { f.Rate = 101 }), Page, NotBypassed},
		{"always", always, set(func(f *Facts) { f.Rate = 0 }), Page, NotBypassed},
		{"allowed", always, set(func(f *Facts) { f.Allowed = true }), Pass, BypassAllowed},
		{"preflight", always, set(func(f *Facts) { f.Method = []byte("OPTIONS") }), Pass, BypassMethod},
		{"ACME", always, visit("/.well-known/acme-challenge/x"), Pass, BypassACME},
		{"ACME by POST", always, visit("/.well-known/acme-challenge/x").with(func(f *Facts) { f.Method = []byte("POST") }), Refuse, NotBypassed},
		{"near ACME", always, visit("/.well-known/acme-challenges"), Page, NotBypassed},
		{"robots", always, visit("/robots.txt"), Pass, BypassRobots},
		{"robots below", always, visit("/robots.txt/x"), Page, NotBypassed},
		{"health", always, visit("/health"), Pass, BypassHealth},
		{"ready by HEAD", always, visit("/ready").with(func(f *Facts) { f.Method = []byte("HEAD") }), Pass, BypassHealth},
		{"gRPC", always, set(func(f *Facts) { f.Method = []byte("POST"); f.ContentType = []byte("application/grpc+proto") }), Pass, BypassGRPC},
		{"gRPC-Web", always, set(func(f *Facts) { f.ContentType = []byte("Application/gRPC-web; charset=utf-8") }), Pass, BypassGRPC},
		{"near gRPC", always, set(func(f *Facts) { f.ContentType = []byte("application/grpcx") }), Page, NotBypassed},
		{"upgrade", always, set(func(f *Facts) { f.Upgrade = true }), Pass, BypassUpgrade},
		{"API", always, set(func(f *Facts) { f.Credentials, f.FetchMode, f.Accept = true, nil, []byte("application/json") }), Pass, BypassAPI},
		{"API of a script", always, set(func(f *Facts) { f.Credentials, f.FetchMode, f.Accept = true, []byte("cors"), []byte("*/*") }), Pass, BypassAPI},
		{"browser with a password", always, set(func(f *Facts) { f.Credentials = true }), Page, NotBypassed},
		{"browser that takes anything", always, set(func(f *Facts) { f.Credentials, f.Accept = true, []byte("*/*") }), Page, NotBypassed},
		{"credentials for HTML", always, set(func(f *Facts) { f.Credentials, f.FetchMode = true, nil }), Page, NotBypassed},
		{"fetch by script", always, set(func(f *Facts) { f.FetchMode = []byte("cors") }), Refuse, NotBypassed},
		{"image", always, set(func(f *Facts) { f.FetchMode = []byte("no-cors"); f.Accept = []byte("image/*") }), Refuse, NotBypassed},
		{"form", always, set(func(f *Facts) { f.Method = []byte("POST") }), Refuse, NotBypassed},
		{"HEAD", always, set(func(f *Facts) { f.Method = []byte("HEAD") }), Refuse, NotBypassed},
		{"old browser", always, set(func(f *Facts) { f.FetchMode = nil }), Page, NotBypassed},
		{"XHTML", always, set(func(f *Facts) { f.FetchMode, f.Accept = nil, []byte("x/y, Application/XHTML+xml;q=0.5") }), Page, NotBypassed},
		{"curl", always, set(func(f *Facts) { f.FetchMode, f.Accept = nil, []byte("*/*") }), Refuse, NotBypassed},
		{"no Accept", always, set(func(f *Facts) { f.FetchMode, f.Accept = nil, nil }), Refuse, NotBypassed},
		{"HTML refused", always, set(func(f *Facts) { f.FetchMode, f.Accept = nil, []byte("text/html;q=0.0, */*") }), Refuse, NotBypassed},
		{"feed", always, set(func(f *Facts) { f.FetchMode, f.Accept = nil, []byte("application/rss+xml") }), Refuse, NotBypassed},
	} {
		before := c.state.Counters.Bypassed[test.bypass].Load()
		d := c.Decide(test.policy, test.facts, start)
		if d.Action != test.action || d.Bypass != test.bypass {
			t.Errorf("%s: Decide = %+v, want action %d, bypass %v", test.name, d, test.action, test.bypass)
		}
		if (d.Action == Page) != (d.Difficulty > 0 && d.Wait > 0) {
			t.Errorf("%s: Decide = %+v, want difficulty and wait with pages alone", test.name, d)
		}
		if got := c.state.Counters.Bypassed[test.bypass].Load() - before; test.bypass != NotBypassed && got != 1 {
			t.Errorf("%s: counted %d bypassed as %v, want 1", test.name, got, test.bypass)
		}
	}
	if got := c.state.Counters.Refused.Load(); got != 9 {
		t.Errorf("counted %d refused, want 9", got)
	}
}

func TestDifficulty(t *testing.T) {
	for _, test := range []struct{ base, limit, rate, threshold, want int }{
		{12, 16, 0, 100, 12},
		{12, 16, 100, 100, 12},
		{12, 16, 199, 100, 12},
		{12, 16, 200, 100, 13},
		{12, 16, 399, 100, 13},
		{12, 16, 400, 100, 14},
		{12, 16, 1 << 30, 100, 16},
		{12, 14, 1 << 30, 100, 14},
		{12, 99, 1 << 62, 1, DifficultyMax},
		{99, 99, 0, 100, DifficultyMax},
		{0, 0, 0, 0, DifficultyMin},
		{-5, -5, -5, -5, DifficultyMin},
		{12, 10, 0, 100, 10},
		{12, 16, 5000, 0, 12},
	} {
		if got := Difficulty(test.base, test.limit, test.rate, test.threshold); got != test.want {
			t.Errorf("Difficulty(%d, %d, %d, %d) = %d, want %d", test.base, test.limit, test.rate, test.threshold, got, test.want)
		}
	}
}

func TestWaitGrowsWithWork(t *testing.T) {
	c := newChallenger(t, keyA)
	for _, test := range []struct{ rate, bits, wait int }{{150, 12, 5}, {250, 13, 8}, {100_000, 16, 17}} {
		d := c.Decide(&Policy{Mode: Enabled, Threshold: 100}, visit("/x").with(func(f *Facts) { f.Rate = test.rate }), start)
		if d.Difficulty != test.bits || d.Wait != test.wait {
			t.Errorf("Decide at %d a minute = %d bits, %d s, want %d and %d", test.rate, d.Difficulty, d.Wait, test.bits, test.wait)
		}
	}
	d := c.Decide(&Policy{Mode: Always, Wait: 1000}, visit("/x"), start)
	if d.Wait != WaitMax {
		t.Errorf("Decide with a wait of 1000 s = %d, want %d", d.Wait, WaitMax)
	}
}
