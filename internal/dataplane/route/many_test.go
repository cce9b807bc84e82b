package route

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// randomRules makes n rules over some 150 hosts, with wildcards of several depths,
// priorities and prefixes inside each other.
func randomRules(r *rand.Rand, n int) []Rule[int] {
	rules := make([]Rule[int], n)
	for i := range rules {
		rule := &rules[i]
		rule.Value = i + 1
		for range 1 + r.IntN(2) {
			rule.Hosts = append(rule.Hosts, randomPattern(r))
		}
		service := fmt.Sprintf("/s%d", r.IntN(20))
		rule.Prefixes = []string{[...]string{service, service + "/v1", "/"}[r.IntN(3)]}
		if r.IntN(20) == 0 {
			rule.Hosts = nil
		}
		if r.IntN(4) == 0 {
			rule.Exact = append(rule.Exact, fmt.Sprintf("/s%d/v%d", r.IntN(20), r.IntN(3)))
		}
		if rule.Prefixes[0] != "/" && r.IntN(8) == 0 {
			rule.Priority = r.IntN(3) - 1
		}
		if r.IntN(3) == 0 {
			rule.Methods = []string{"GET"}
		}
	}
	return rules
}

func randomPattern(r *rand.Rand) string {
	host := randomHost(r)
	if r.IntN(4) > 0 {
		return host
	}
	return [...]string{"*." + host, "*.example.com", "*.com", "*.org", "*"}[r.IntN(5)]
}

func randomHost(r *rand.Rand) string {
	zone := [...]string{"example.com", "example.org", "a.example.com"}[r.IntN(3)]
	return fmt.Sprintf("host-%d.%s", r.IntN(50), zone)
}

func randomInput(r *rand.Rand) Input {
	host := randomHost(r)
	if r.IntN(4) == 0 {
		host = "www." + host
	}
	return Input{
		Host:   []byte([...]string{host, host + ":8080", "HOST" + host[4:], host + "."}[r.IntN(4)]),
		Path:   fmt.Appendf(nil, "/s%d/v%d%s", r.IntN(20), r.IntN(3), [...]string{"", "/", "/x", "x"}[r.IntN(4)]),
		Method: []byte([...]string{"GET", "PUT"}[r.IntN(2)]),
		Head:   headOf(),
	}
}

// TestMatchManyHosts compares tables of many hosts with the reference.
func TestMatchManyHosts(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 0))
		rules := randomRules(r, 600)
		table := Build(rules)
		if n := len(table.exact) + len(table.wildcard); n <= 100 {
			t.Fatalf("the table has %d hosts, want more than 100", n)
		}
		winners := map[int]bool{}
		for range 200 {
			in := randomInput(r)
			got, ok := table.Match(&in)
			want, wantOK := reference(rules, &in)
			if got != want || ok != wantOK {
				t.Fatalf("seed %d: Match(host %q, path %q, method %q) = %d, %v, want %d, %v",
					seed, in.Host, in.Path, in.Method, got, ok, want, wantOK)
			}
			if ok && len(rules[got-1].Hosts) > 0 {
				winners[got] = true
			}
		}
		if len(winners) < 30 {
			t.Errorf("seed %d: 200 requests met %d rules with hosts, want at least 30", seed, len(winners))
		}
	}
}

// BenchmarkMatchRandom matches other requests each time, so that caches and the
// prediction of branches help as little as they do in service.
func BenchmarkMatchRandom(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		table := Build(manyRules(n))
		r := rand.New(rand.NewPCG(1, 2))
		inputs := make([]Input, 4096)
		for i := range inputs {
			k := r.IntN(n)
			inputs[i] = Input{
				Host:   fmt.Appendf(nil, "host-%d.example.com:8080", k/20),
				Path:   fmt.Appendf(nil, "/service-%d/v1/things/7", k),
				Method: []byte("GET"),
			}
		}
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := table.Match(&inputs[i%len(inputs)]); !ok {
					b.Fatalf("Match(%q) = false", inputs[i%len(inputs)].Path)
				}
				i++
			}
		})
	}
}
