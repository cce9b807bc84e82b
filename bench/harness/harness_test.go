package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	tests := []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	}
	for _, tt := range tests {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestRatiosPairRounds(t *testing.T) {
	base := []sample{{Round: 1, ProxyMicros: 10}, {Round: 2, ProxyMicros: 20}}
	got := ratios([]sample{{Round: 1, ProxyMicros: 5}, {Round: 2, ProxyMicros: 30}, {Round: 3, ProxyMicros: 1}}, base, proxyMicros)
	if len(got) != 2 || got[0] != 0.5 || got[1] != 1.5 {
		t.Errorf("ratios = %v, want [0.5 1.5]: round by round, none where the reference is missing", got)
	}
}

func TestParseLoad(t *testing.T) {
	const line = `RESULT {"requests":100,"bytes":5,"micros":2000000,"p50":12.5,"p99":99.0,"max":100.0,"connectErrors":0,"readErrors":0,"writeErrors":0,"timeouts":0,"badStatus":0}`
	l, err := parseLoad([]byte("Running 1s test\n" + line + "\nmore\n"))
	if err != nil || l.Requests != 100 || l.P50 != 12.5 || l.failure() != nil {
		t.Errorf("parseLoad = %+v, %v; failure %v", l, err, l.failure())
	}
	for _, broken := range []string{`"badStatus":1`, `"timeouts":2`, `"readErrors":3`} {
		name, _, _ := strings.Cut(broken, ":")
		l, err := parseLoad([]byte(strings.Replace(line, name+":0", broken, 1)))
		if err != nil || l.failure() == nil {
			t.Errorf("a run with %s passes (%v)", broken, err)
		}
	}
	if _, err := parseLoad([]byte("unable to connect")); err == nil {
		t.Error("output without a result passes")
	}
	if (load{}).failure() == nil {
		t.Error("a run without requests passes")
	}
}

func TestNewSample(t *testing.T) {
	at := time.Now()
	before := clocks{machine: machineClock{at: at, idle: time.Second, cores: 2}}
	after := clocks{
		machine: machineClock{at: at.Add(2 * time.Second), idle: 2 * time.Second, cores: 2}, // 3 s busy
		proxy:   time.Second,
		side:    500 * time.Millisecond,
	}
	s := newSample(load{Requests: 1000, Micros: 2e6, cpu: 500 * time.Millisecond}, before, after)
	if s.ProxyMicros != 1000 || s.SideMicros != 1000 || s.MachineMicros != 3000 || s.RequestsPerSecond != 500 || s.OthersCores != 0.5 {
		t.Errorf("newSample = %+v", s)
	}
}

func TestProcessCPUSeesWork(t *testing.T) {
	before, err := treeCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := treeCPU(os.Getpid())
	if err != nil || after-before < 5*time.Millisecond {
		t.Errorf("20 ms of work cost %v, %v", after-before, err)
	}
	if resident, err := treeResident(os.Getpid()); err != nil || resident < 1<<20 {
		t.Errorf("treeResident = %d, %v", resident, err)
	}
}

func TestConfigurations(t *testing.T) {
	o, err := parseOptions([]string{"-port", "19300"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios() {
		for _, p := range s.peersOf(peers(o)) {
			at := p.place(o, t.TempDir(), s.settings)
			argv, err := p.writeConfig(at)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(at.Dir, p.configFile))
			if err != nil {
				t.Fatal(err)
			}
			wants := []string{at.Listen, at.Metrics}
			if wants = append(wants, at.Targets...); len(at.Targets) == 0 {
				wants = append(wants, at.Origin)
			}
			for _, want := range wants {
				if !strings.Contains(string(text), want) {
					t.Errorf("%s for %s lacks %s", p.configFile, s.name, want)
				}
			}
			if strings.Contains(strings.Join(argv, " "), "{config}") {
				t.Errorf("command of %s keeps its placeholder: %q", p.name, argv)
			}
		}
	}
}

func TestPeersOf(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		scenario scenario
		want     string
	}{
		{scenario{}, "haproxy nginx caddy sentinel"},
		{scenario{proxies: []string{reference, sentinel}, plain: true, settings: settings{TargetCount: 3}}, "haproxy:3 sentinel:3 sentinel-plain"},
		{scenario{proxies: []string{"nobody"}}, ""},
	} {
		var got []string
		ports := make(map[string]bool)
		for _, p := range tt.scenario.peersOf(peers(o)) {
			at := p.place(o, t.TempDir(), tt.scenario.settings)
			if n := len(at.Targets); n > 0 {
				p.name += ":" + strconv.Itoa(n)
			}
			got = append(got, p.name)
			if ports[at.Listen] || ports[at.Metrics] {
				t.Errorf("%s shares %s or %s with another", p.name, at.Listen, at.Metrics)
			}
			ports[at.Listen], ports[at.Metrics] = true, true
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("peers of %+v = %q, want %q", tt.scenario, got, tt.want)
		}
	}
}

func TestReportComparesWithPlain(t *testing.T) {
	r := report{Samples: []sample{
		{Scenario: "s", Conns: 64, Proxy: sentinel, Round: 1, ProxyMicros: 20.6},
		{Scenario: "s", Conns: 64, Proxy: sentinelPlain, Round: 1, ProxyMicros: 20},
	}}
	var b strings.Builder
	r.writeMarkdown(&b)
	if want := "sentinel takes 1.030 of the proxy CPU of sentinel-plain"; !strings.Contains(b.String(), want) {
		t.Errorf("the report lacks %q:\n%s", want, b.String())
	}
}

func TestChildIsReportedAndStopped(t *testing.T) {
	dir := t.TempDir()
	c, err := startChild("brief", dir, 0, nil, "sh", "-c", "echo cannot bind; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	err = c.awaitOK(context.Background(), settings{}.client(), "http://"+freeAddress(t))
	if err == nil || !strings.Contains(err.Error(), "cannot bind") {
		t.Errorf("awaitOK = %v, want what the child printed", err)
	}
	c.stop()

	c, err = startChild("parent", dir, 0, nil, "sh", "-c", "sleep 60 & echo $!; wait")
	if err != nil {
		t.Fatal(err)
	}
	for c.tail() == "" {
		time.Sleep(time.Millisecond) // another process: nothing to wait on
	}
	grandchild := c.tail()
	c.stop()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) { // another process again
		stat, err := os.ReadFile("/proc/" + grandchild + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s is left after stop: %s", grandchild, stat)
		}
	}
}

func TestIdleConnections(t *testing.T) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok")) })}
	go server.Serve(l)
	defer server.Close()
	conns, err := openAll(settings{}, l.Addr().String(), "/1k", 100)
	defer closeAll(conns)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range conns {
		if err := request(c, "/1k"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, args := range [][]string{
		{"-rounds", "0"}, {"-d", "10ms"}, {"-conns", "1,x"}, {"-proxy-core", "1", "-load-core", "1"}, {"-load-core", "4096"}, {"-sentinel-cmd", " "},
	} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("parseOptions(%q) passes", args)
		}
	}
	if _, err := chooseScenarios("1k,nothing"); err == nil {
		t.Error("an unknown scenario passes")
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestParseStreams(t *testing.T) {
	const text = `starting benchmark...
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2
Warm-up started for thread #0.
finished in 2.05s, 27890.50 req/s, 28.15MB/s
requests: 55781 total, 56293 started, 55781 done, 55781 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 55781 2xx, 0 3xx, 0 4xx, 0 5xx
`
	l, err := parseStreams([]byte(text))
	if err != nil || l.Requests != 55781 || l.Micros != 2_050_000 || l.failure() != nil {
		t.Errorf("parseStreams = %+v, %v; failure %v", l, err, l.failure())
	}
	for _, change := range [][2]string{{"0 5xx", "3 5xx"}, {"0 errored", "3 errored"}, {"0 failed", "1 failed"}, {"0 timeout", "2 timeout"}, {"55781 2xx", "0 2xx"}} {
		l, err := parseStreams([]byte(strings.Replace(text, change[0], change[1], 1)))
		if err != nil || l.failure() == nil {
			t.Errorf("a run with %s passes: %v", change[1], err)
		}
	}
	for _, change := range [][2]string{{"protocol: h2", "protocol: http/1.1"}, {"AES_128_GCM", "AES_256_GCM"}, {"requests:", "-"}} {
		if _, err := parseStreams([]byte(strings.Replace(text, change[0], change[1], 1))); err == nil {
			t.Errorf("a run with %q instead of %q passes", change[1], change[0])
		}
	}
}
