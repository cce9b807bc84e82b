package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// report is everything one run of the harness found.
type report struct {
	When     time.Time         `json:"when"`
	Machine  string            `json:"machine"`
	Command  string            `json:"command"`
	Rounds   int               `json:"rounds"`
	Seconds  float64           `json:"secondsPerRound"`
	Versions map[string]string `json:"versions"`
	Samples  []sample          `json:"samples"`
	Memory   []memory          `json:"memory"`
	Failures []string          `json:"failures"`
}

// describeMachine names kernel, processor and cores.
func describeMachine() string {
	var u unix.Utsname
	kernel := "unknown kernel"
	if unix.Uname(&u) == nil {
		kernel = "Linux " + unix.ByteSliceToString(u.Release[:])
	}
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s", runtime.NumCPU(), model, kernel, runtime.Version())
}

// median returns the middle of values, the mean of the two middle ones when
// their number is even, and 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// column returns one value of every sample.
func column(samples []sample, value func(sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = value(s)
	}
	return values
}

// ratios divides value(s) by that of the base sample of the same round.
// Rounds without a base sample are left out.
func ratios(samples, base []sample, value func(sample) float64) []float64 {
	var found []float64
	for _, s := range samples {
		for _, r := range base {
			if r.Round == s.Round && value(r) > 0 {
				found = append(found, value(s)/value(r))
			}
		}
	}
	return found
}

// group is the samples of one table: one scenario at one number of connections.
type group struct {
	scenario string
	conns    int
	proxies  []string // in the order they appear
	samples  map[string][]sample
}

func groups(samples []sample) []group {
	var found []group
	for _, s := range samples {
		i := slices.IndexFunc(found, func(g group) bool { return g.scenario == s.Scenario && g.conns == s.Conns })
		if i < 0 {
			i = len(found)
			found = append(found, group{scenario: s.Scenario, conns: s.Conns, samples: map[string][]sample{}})
		}
		g := &found[i]
		if len(g.samples[s.Proxy]) == 0 {
			g.proxies = append(g.proxies, s.Proxy)
		}
		g.samples[s.Proxy] = append(g.samples[s.Proxy], s)
	}
	for i := range found {
		slices.SortFunc(found[i].proxies, func(a, b string) int { return tableOrder(a) - tableOrder(b) })
	}
	return found
}

// tableOrder puts the peers in one order everywhere, Sentinel last.
func tableOrder(proxy string) int {
	return slices.Index([]string{reference, "nginx", "caddy", sentinelPlain, sentinel}, proxy)
}

func proxyMicros(s sample) float64   { return s.ProxyMicros }
func ownMicros(s sample) float64     { return s.ProxyMicros + s.SideMicros }
func machineMicros(s sample) float64 { return s.MachineMicros }

// writeTable prints one group as a Markdown table.
func (g group) writeTable(w io.Writer) {
	fmt.Fprintf(w, "### %s, %d connections\n\n", g.scenario, g.conns)
	fmt.Fprintln(w, "| proxy | CPU µs/request | least to most | ratio to "+reference+" | requests/s | p50 µs | p99 µs | proxy cores | with load and origin µs | ratio | machine µs | others' cores |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, name := range g.proxies {
		all, base := g.samples[name], g.samples[reference]
		mid := func(value func(sample) float64) float64 { return median(column(all, value)) }
		cpu := column(all, proxyMicros)
		fmt.Fprintf(w, "| %s | %.2f | %.2f to %.2f | %s | %.0f | %.0f | %.0f | %.2f | %.2f | %s | %.2f | %.2f |\n",
			name, median(cpu), slices.Min(cpu), slices.Max(cpu), ratioText(ratios(all, base, proxyMicros)),
			mid(func(s sample) float64 { return s.RequestsPerSecond }),
			mid(func(s sample) float64 { return s.P50Micros }), mid(func(s sample) float64 { return s.P99Micros }),
			mid(func(s sample) float64 { return s.ProxyCores }),
			mid(ownMicros), ratioText(ratios(all, base, ownMicros)),
			mid(machineMicros), mid(func(s sample) float64 { return s.OthersCores }))
	}
	fmt.Fprintln(w)
	if to := ratios(g.samples[sentinel], g.samples[sentinelPlain], proxyMicros); len(to) > 0 {
		fmt.Fprintf(w, "%s takes %.3f of the proxy CPU of %s: the median of %d rounds, from %.3f to %.3f.\n\n",
			sentinel, median(to), sentinelPlain, len(to), slices.Min(to), slices.Max(to))
	}
}

func ratioText(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", median(values))
}

// writeMarkdown prints the whole report.
func (r *report) writeMarkdown(w io.Writer) {
	fmt.Fprintf(w, "%s, %s\n\n", r.When.UTC().Format("2006-01-02 15:04 UTC"), r.Machine)
	fmt.Fprintf(w, "`%s`: medians of %d rounds of %.0f s; the ratio is the median of the ratios round by round.\n\n", r.Command, r.Rounds, r.Seconds)
	for _, name := range slices.SortedFunc(maps.Keys(r.Versions), func(a, b string) int { return tableOrder(a) - tableOrder(b) }) {
		fmt.Fprintf(w, "- %s: %s\n", name, r.Versions[name])
	}
	fmt.Fprintln(w)
	for _, g := range groups(r.Samples) {
		g.writeTable(w)
	}
	if len(r.Memory) > 0 {
		r.writeMemory(w)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "**Not measured:** %s\n\n", f)
	}
}

func (r *report) writeMemory(w io.Writer) {
	fmt.Fprintln(w, "### idle connections")
	fmt.Fprintln(w, "\n| proxy | connections | resident before KiB | resident idle KiB | KiB/connection |\n|---|---|---|---|---|")
	for _, m := range r.Memory {
		fmt.Fprintf(w, "| %s | %d | %.0f | %.0f | %.2f |\n", m.Proxy, m.Conns, m.BeforeKiB, m.IdleKiB, m.KiBConnection)
	}
	fmt.Fprintln(w)
}

// save writes the report as JSON and Markdown below dir and returns the name
// they share.
func (r *report) save(dir string) (string, error) {
	name := filepath.Join(dir, "result-"+r.When.UTC().Format("20060102-150405"))
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(name+".json", raw, 0o644); err != nil {
		return "", err
	}
	var text strings.Builder
	r.writeMarkdown(&text)
	return name, os.WriteFile(name+".md", []byte(text.String()), 0o644)
}
