package topview

import (
	"fmt"
	"strings"
	"time"

	"sentinel/internal/observe/series"
)

// graphHeight is how many lines the graphs have.
const graphHeight = 3

// viewOverview is the first page: graphs, upstreams, faults beside clients, events.
func (m *model) viewOverview(room int) []string {
	lines := m.graphs()
	lines = append(lines, m.shortUpstreams(max(2, min(len(m.frame.Upstr), (room-14)/2+2)))...)
	lines = append(lines, m.halves(3+max(0, room-24)/2)...)
	var rows []row
	for i := range m.frame.Events {
		rows = append(rows, eventRow(&m.frame.Events[i]))
	}
	return append(lines, m.table([]column{{"EVENTS", 8, false}, {"", 0, false}}, rows, -1, max(room-len(lines), 2))...)
}

// graphs are the last ten minutes: requests at the left, failures at the right.
func (m *model) graphs() []string {
	half := (m.width - 6) / 2
	requests, errors := make([]float64, len(m.frame.Points)), make([]float64, len(m.frame.Points))
	for i, p := range m.frame.Points {
		requests[i], errors[i] = p.Requests, p.Errors
	}
	back := span(time.Duration(min(half, len(requests))) * series.Step)
	head := func(what string, values []float64) string {
		values = values[max(0, len(values)-half):]
		return fit(fmt.Sprintf("%s, last %s, up to %s", what, back, rate(highest(values))), half)
	}
	lines := []string{styleHead.Render("   " + head("REQ/S", requests) + "  " + head("5XX/S", errors))}
	shown := func(values []float64) float64 { return highest(values[max(0, len(values)-half):]) }
	left, right := graph(requests, half, graphHeight, shown(requests)), graph(errors, half, graphHeight, shown(errors))
	for i := range left {
		lines = append(lines, "   "+left[i]+"  "+styleBad.Render(right[i]))
	}
	return lines
}

// shortUpstreams shows those in trouble first.
func (m *model) shortUpstreams(n int) []string {
	var bad, good []row
	for i := range m.frame.Upstr {
		u := &m.frame.Upstr[i]
		latency, open := 0.0, 0
		for j := range u.Targets {
			latency = max(latency, u.Targets[j].LatencyMillis)
			if s := u.Targets[j].Breaker.State; s != "" && s != "closed" {
				open++
			}
		}
		breakers := "-"
		if open > 0 {
			breakers = fmt.Sprintf("%d open", open)
		}
		r := row{[]string{
			text(u.Name), fmt.Sprintf("%d of %d", u.Usable, len(u.Targets)), breakers, fmt.Sprint(u.InProgress), fmt.Sprint(u.Pending), millis(latency), u.Trouble,
		}, u.Trouble != ""}
		if r.bad {
			bad = append(bad, r)
		} else {
			good = append(good, r)
		}
	}
	rows := append(bad, good...)
	name := "UPSTREAM"
	if left := len(rows) - n; left > 0 {
		name += fmt.Sprintf(" (and %d more)", left)
	}
	return m.table([]column{
		{name, 18, false}, {"USABLE", 8, false}, {"BREAKERS", 8, false}, {"BUSY", 5, true}, {"QUEUE", 5, true}, {"LATENCY", 7, true}, {"NOTE", 0, false},
	}, rows, -1, n+1)
}

// halves shows faults beside clients in n rows.
func (m *model) halves(n int) []string {
	half := (m.width - 6) / 2
	faults, clients := []string{fit("FAULTS, last minute", half)}, []string{fit("CLIENTS, last minute", half)}
	for i := range n {
		l, r := "", ""
		if i < len(m.frame.Faults) {
			x := &m.frame.Faults[i]
			count := fmt.Sprint(x.Recent)
			l = fit(cut(text(x.Fault)+" "+text(x.Route), half-8), half-8) + right(count, 7)
		}
		if i < len(m.frame.Clients.Entries) {
			e := &m.frame.Clients.Entries[i]
			r = fit(cut(text(e.Key), half-10), half-10) + right(rate(float64(e.Count)/float64(max(m.frame.Clients.Seconds, 1)))+"/s", 9)
		}
		faults, clients = append(faults, fit(l, half)), append(clients, fit(r, half))
	}
	lines := []string{styleHead.Render("   " + faults[0] + "  " + clients[0])}
	for i := 1; i <= n; i++ {
		lines = append(lines, "   "+strings.TrimRight(faults[i]+"  "+clients[i], " "))
	}
	return lines
}
