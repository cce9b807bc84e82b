package flood

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/race"
)

// config has a route for each kind of flood. A good client sends 5 requests a second to a
// limit of 5: what it may.
const config = `
limits { max-connections 5000 }
routes {
    route "app" { upstream "app"; rate-limit { requests-per-second 5 } }
    route "free" { matches { path-prefix "/free" }; upstream "app" }
    route "keys" {
        matches { path-prefix "/keys" }
        upstream "app"
        rate-limit { requests-per-minute 1; key "header:X-Key"; max-keys 4096 }
    }
    route "challenged" {
        matches { path-prefix "/challenged" }
        upstream "app"
        security { challenge-mode "always" }
    }
}
`

const (
	attackers = 50
	// goodP99Max bounds what good clients feel of a flood.
	goodP99Max = 50 * time.Millisecond
	// residentMax is how many KiB the proxy may hold at the end, however long the floods were.
	// Some 30 MiB of it live; the collector lets garbage grow to four times that, where no
	// budget of memory says otherwise.
	residentMax = 256 << 10
	// costMax is what a refused request may cost, in shares of a proxied one that came the
	// same way. Where each comes on a connection of its own, some 40 µs of either are the
	// connection, so even a refusal for nothing would cost 0.7: what is bounded there is that
	// one isn't dearer. A ban is what makes those cheaper.
	costMax       = 0.7
	costFreshMax  = 1.0
	costBannedMax = 0.5
)

const (
	fields      = " HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: %s\r\nAccept-Encoding: gzip\r\n"
	programAsks = "*/*"
	browserAsks = "text/html,application/xhtml+xml"
)

// request returns a request for a path.
func request(path, accept string, more ...string) string {
	return "GET " + path + fmt.Sprintf(fields, accept) + strings.Join(append(more, ""), "\r\n") + "\r\n"
}

// flood is one kind of attack, and what it is answered.
type flood struct {
	name   string
	attack attack
	want   string // the status of nearly all answers; empty: none
	banned bool   // the attackers are
	like   string // the proxied requests that it is compared with; empty: none
}

// costMax returns the bound on what one request costs.
func (f *flood) costMax() float64 {
	switch {
	case f.banned:
		return costBannedMax
	case f.like == likeFresh:
		return costFreshMax
	}
	return costMax
}

// The proxied requests that floods are compared with.
const (
	likeKept      = "kept" // over connections that are kept
	likePipelined = "pipelined"
	likeFresh     = "fresh" // each over its own
)

func floods(p *proxy) []flood {
	all := []flood{
		{name: "requests", attack: attack{Request: request("/", programAsks)}, want: "429", like: likeKept},
		{name: "requests, 16 at once", attack: attack{Request: request("/", programAsks), Pipeline: 16}, want: "429", like: likePipelined},
		{name: "a connection each", attack: attack{Request: request("/", programAsks), Fresh: true}, want: "429", like: likeFresh},
		{name: "many keys", attack: attack{Request: request("/keys", programAsks, "X-Key: $N")}, want: "200"},
		{name: "challenged programs", attack: attack{Request: request("/challenged", programAsks)}, want: "429", like: likeKept},
		{name: "challenged browsers", attack: attack{Request: request("/challenged", browserAsks)}, want: "503"},
		{name: "long heads", attack: attack{Request: request("/", programAsks, "X-Bomb: "+strings.Repeat("b", 32<<10)), Fresh: true}, want: "431"},
		{name: "many fields", attack: attack{Request: request("/", programAsks, strings.Repeat("a: b\r\n", 900)+"c: d"), Fresh: true}, want: "431", like: likeFresh},
		{name: "long targets", attack: attack{Request: request("/"+strings.Repeat("u", 32<<10), programAsks), Fresh: true}, want: "414"},
		{name: "no HTTP", attack: attack{Request: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", Fresh: true}, want: "400", like: likeFresh},
		{name: "banned", attack: attack{Request: request("/", programAsks), Fresh: true}, banned: true, like: likeFresh},
	}
	for i := range all {
		a := &all[i].attack
		a.Target, a.Addresses = p.http, attackers
	}
	return all
}

// TestFlood sends every kind of flood beside good clients.
func TestFlood(t *testing.T) {
	each, long := length(t)
	p := start(t, config)
	t.Logf("%d hostile addresses at full speed, %d good clients at %d/s each, %v each flood", attackers, goodClients, goodRate, each)
	all := floods(p)
	for _, f := range all { // what each kind takes in the long run is taken once
		p.under(&f, func() { p.cost(&f.attack, each/3) })
	}
	t.Logf(rowFormat, "flood", "a second", "µs each", "of proxied", "good", "lost", "p50", "p99", "late p99", "MiB", "grown", "answers")
	for _, f := range all {
		row := p.suffer(&f, each)
		if long {
			row.share = p.compare(&f, each/4)
		}
		row.print(t, &f)
		row.check(t, &f, long)
	}
	if kib := p.resident(); kib > residentMax && !race.Enabled() {
		t.Errorf("the proxy holds %d KiB, want at most %d", kib, residentMax)
	}
}

const rowFormat = "%-21s %9v %8v %10v %6v %5v %8v %8v %8v %6v %7v  %v"

// row is what one flood came to.
type row struct {
	toll    toll
	good    experience
	each    time.Duration // processor time of one request of the flood
	rate    float64       // of them, a second
	share   float64       // of the processor time of a proxied one; 0 where that wasn't asked
	kib     int
	grownBy int
}

// suffer has a flood go on for a while.
func (p *proxy) suffer(f *flood, each time.Duration) (r row) {
	p.t.Helper()
	p.under(f, func() {
		before := p.resident()
		good := gather(p.http, "/")
		r.each, r.rate, r.toll = p.cost(&f.attack, each)
		r.kib = p.resident()
		r.grownBy = r.kib - before
		r.good = good.part()
	})
	return r
}

// cost measures what a request of an attack costs in processor time.
func (p *proxy) cost(a *attack, each time.Duration) (one time.Duration, rate float64, l toll) {
	p.t.Helper()
	began, used := time.Now(), p.cpu()
	c := a.begin(p.t)
	time.Sleep(each)
	l = stop(c)
	used, n := p.cpu()-used, max(l.sum(), 1)
	return used / time.Duration(n), float64(n) / time.Since(began).Seconds(), l
}

// proxied returns the requests that a flood is compared with.
func (p *proxy) proxied(f *flood) attack {
	a := attack{Target: p.http, Addresses: attackers, Request: request("/free", programAsks)}
	switch f.like {
	case likePipelined:
		a.Pipeline = f.attack.Pipeline
	case likeFresh:
		a.Fresh = true
	}
	return a
}

// costRounds is how often a cost is compared; the median counts.
const costRounds = 3

// compare measures what a request of a flood costs in shares of a proxied one, one right
// after the other, so that whatever else the machine does meets both.
func (p *proxy) compare(f *flood, each time.Duration) (share float64) {
	p.t.Helper()
	if f.like == "" {
		return 0
	}
	var shares []float64
	for range costRounds {
		a := p.proxied(f)
		proxied, _, l := p.cost(&a, each)
		if l.Answers["200"]*100 < l.sum()*99 {
			p.t.Fatalf("proxied requests, %s: %v, want 200 alone", f.like, &l)
		}
		p.under(f, func() {
			refused, _, _ := p.cost(&f.attack, each)
			shares = append(shares, float64(refused)/float64(proxied))
		})
	}
	return median(shares)
}

// under does something while the attackers are banned, if they are.
func (p *proxy) under(f *flood, do func()) {
	p.t.Helper()
	if f.banned {
		p.command("ban", "127.7.0.0/24", "--force", "--reason", "flood")
		defer p.command("unban", "127.7.0.0/24")
	}
	do()
}

func micros(d time.Duration) float64 { return float64(d) / 1000 }

func (r *row) print(t *testing.T, f *flood) {
	share := "-"
	if r.share > 0 {
		share = fmt.Sprintf("%.2f", r.share)
	}
	t.Logf(rowFormat, f.name, int(r.rate), fmt.Sprintf("%.1f", micros(r.each)), share, r.good.requests(), len(r.good.lost),
		short(r.good.quantile(0.5)), short(r.good.quantile(0.99)), short(r.good.late()), r.kib>>10, fmt.Sprintf("%+.1f", float64(r.grownBy)/1024), &r.toll)
}

func short(d time.Duration) string { return fmt.Sprintf("%.2fms", float64(d.Microseconds())/1000) }

// check holds a flood to its bounds; those on time only in the long run.
func (r *row) check(t *testing.T, f *flood, long bool) {
	if n := len(r.good.lost); n > 0 {
		t.Errorf("%s: %d of %d good requests were lost, the first: %s", f.name, n, r.good.requests(), r.good.lost[0])
	}
	if want := r.toll.sum() * 9 / 10; f.want == "" && r.toll.Ended < want || f.want != "" && r.toll.Answers[f.want] < want {
		t.Errorf("%s: %v, want %s for nearly all", f.name, &r.toll, f.want)
	}
	if !long {
		return
	}
	if p99, limit := r.good.quantile(0.99), goodP99Max+2*r.good.late(); p99 > limit {
		t.Errorf("%s: p99 of good clients = %v, want at most %v", f.name, p99, limit)
	}
	if r.share > f.costMax() {
		t.Errorf("%s: a request costs %.2f of a proxied one, want at most %v", f.name, r.share, f.costMax())
	}
}
