package topview

import (
	"fmt"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
)

// column is one of a table. The one of width 0 takes what is left.
type column struct {
	name  string
	width int
	right bool
}

// row is one of a table; bad ones are marked.
type row struct {
	cells []string
	bad   bool
}

// table lays out rows in room lines, the head included, with the cursor in sight; a cursor
// below 0 is none.
func (m *model) table(columns []column, rows []row, cursor, room int) []string {
	left, widths := m.width-3, make([]int, len(columns))
	for i, c := range columns {
		widths[i] = c.width
		left -= c.width + 2
	}
	for i, c := range columns {
		if c.width == 0 {
			widths[i] = max(left, 4)
		}
	}
	line := func(cells []string) string {
		var b strings.Builder
		for i, c := range cells {
			c = text(c) // once more changes nothing
			if i > 0 {
				b.WriteString("  ")
			}
			if columns[i].right {
				b.WriteString(right(c, widths[i]))
			} else {
				b.WriteString(fit(c, widths[i]))
			}
		}
		return b.String()
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	out := []string{styleHead.Render(cut("   "+line(names), m.width))}
	room--
	first := 0
	if cursor >= room {
		first = cursor - room + 1
	}
	for i := first; i < len(rows) && i < first+room; i++ {
		mark := []byte("   ")
		if i == cursor {
			mark[0] = '>'
		}
		if rows[i].bad {
			mark[1] = '!'
		}
		switch s := cut(string(mark)+line(rows[i].cells), m.width); {
		case i == cursor:
			out = append(out, styleChosen.Render(fit(s, m.width)))
		case rows[i].bad:
			out = append(out, styleBad.Render(s))
		default:
			out = append(out, s)
		}
	}
	if len(rows) == 0 {
		out = append(out, styleQuiet.Render("   none"))
	}
	return out
}

// detailLines are kept below a table for all of the chosen row.
const detailLines = 3

// above returns the room for a table that has the chosen row below.
func above(room int) int {
	if room < 8 {
		return room
	}
	return room - detailLines - 1
}

// detailed puts all of the chosen row below a table.
func (m *model) detailed(lines []string, room int, detail string) []string {
	if above(room) == room {
		return lines
	}
	for len(lines) < above(room) {
		lines = append(lines, "")
	}
	lines = append(lines, styleQuiet.Render(strings.Repeat("-", m.width)))
	for range detailLines {
		part := cutAt(detail, m.width-2)
		lines, detail = append(lines, " "+part), detail[len(part):]
	}
	return lines
}

func (m *model) viewUpstreams(room int) []string {
	var rows []row
	list := m.targets()
	for _, t := range list {
		rows = append(rows, targetRow(t))
	}
	lines := m.table([]column{
		{"UPSTREAM, TARGET", 26, false}, {"STATE", 9, false}, {"BREAKER", 9, false}, {"BUSY", 5, true}, {"LATENCY", 7, true}, {"FAILED", 6, true}, {"WHY", 0, false},
	}, rows, m.cursor[pageUpstreams], above(room))
	if len(list) == 0 {
		return lines
	}
	return m.detailed(lines, room, list[m.cursor[pageUpstreams]].detail())
}

// detail is all about a target or upstream, in one line.
func (t target) detail() string {
	u := t.up
	if t.target == nil {
		s := fmt.Sprintf("%s: %s, %d of %d targets take requests, %d in progress, %d waiting", u.Name, u.Balancing, u.Usable, len(u.Targets), u.InProgress, u.Pending)
		if len(u.Fallback) > 0 {
			s += ", falls back to " + strings.Join(u.Fallback, ", ")
		}
		return text(s)
	}
	x := t.target
	s := strings.TrimSpace(x.Address+" "+x.Resolved) + ": " + x.State
	if x.Cause != "" {
		s += " (" + x.Cause + ")"
	}
	if x.Breaker.State != "" {
		s += ", breaker " + x.Breaker.State
		if x.Breaker.Cause != "" {
			s += " (" + x.Breaker.Cause + ")"
		}
	}
	return text(s + fmt.Sprintf(", weight %d of %d, %d connections of which %d idle, %d requests, %d failed", x.EffectiveWeight, x.Weight, x.Open, x.Idle, x.Requests, x.Failures))
}

func targetRow(t target) row {
	if t.target == nil {
		state := fmt.Sprintf("%d of %d", t.up.Usable, len(t.up.Targets))
		note := t.up.Trouble
		if t.up.Pending > 0 {
			note = strings.TrimPrefix(note+fmt.Sprintf(", %d waiting", t.up.Pending), ", ")
		}
		return row{[]string{text(t.up.Name), state, "", fmt.Sprint(t.up.InProgress), "", "", note}, t.up.Trouble != ""}
	}
	x := t.target
	why := x.Cause
	if x.Breaker.State != "" && x.Breaker.State != admin.BreakerClosed {
		why = strings.TrimPrefix(why+"; breaker: "+x.Breaker.Cause, "; ")
	}
	address := x.Address
	if x.Resolved != "" {
		address = x.Resolved
	}
	return row{[]string{
		"  " + text(address), x.State, x.Breaker.State, fmt.Sprint(x.InProgress), millis(x.LatencyMillis), fmt.Sprint(x.Failures), text(why),
	}, !x.Takes()}
}

func (m *model) viewRoutes(room int) []string {
	var rows []row
	for i := range m.frame.Routes {
		r := &m.frame.Routes[i]
		line := graph(r.Points, 20, 1, highest(r.Points))
		rows = append(rows, row{[]string{text(r.Name), rate(r.Requests), percent(r.ErrorShare), millis(r.P50), millis(r.P99), line[0], text(r.Target)}, r.Errors > 0})
	}
	return m.table([]column{
		{"ROUTE", 18, false}, {"REQ/S", 6, true}, {"5XX", 5, true}, {"P50", 6, true}, {"P99", 6, true}, {"10 MINUTES", 20, false}, {"GOES TO", 0, false},
	}, rows, m.cursor[pageRoutes], room)
}

func (m *model) clientRows() []row {
	t := &m.frame.Clients
	var rows []row
	for _, e := range t.Entries {
		share := 0.0
		if t.Total > 0 {
			share = float64(e.Count) / float64(t.Total)
		}
		key := text(e.Key)
		if e.Cut {
			key += "..."
		}
		rows = append(rows, row{[]string{key, rate(float64(e.Count) / float64(max(t.Seconds, 1))), percent(share), m.banned(e.Key)}, false})
	}
	return rows
}

// banned says whether a client is banned as shown.
func (m *model) banned(client string) string {
	for i := range m.frame.Bans {
		if b := &m.frame.Bans[i]; strings.HasPrefix(b.Prefix, client+"/") {
			return "banned"
		}
	}
	return ""
}

func (m *model) viewClients(room int) []string {
	return m.table([]column{{"CLIENT", 40, false}, {"REQ/S", 7, true}, {"SHARE", 6, true}, {"", 0, false}}, m.clientRows(), m.cursor[pageClients], room)
}

func (m *model) viewFaults(room int) []string {
	var rows []row
	for i := range m.frame.Faults {
		x := &m.frame.Faults[i]
		rows = append(rows, row{[]string{
			text(x.Fault), x.Side, text(x.Route), fmt.Sprint(x.Recent), fmt.Sprint(x.Count), span(m.frame.At.Sub(x.Last)) + " ago",
		}, x.Side != "client" && x.Recent > 0})
	}
	return m.table([]column{
		{"FAULT", 28, false}, {"SIDE", 8, false}, {"ROUTE", 0, false}, {"1 MIN", 7, true}, {"10 MIN", 8, true}, {"LAST", 8, true},
	}, rows, m.cursor[pageFaults], room)
}

// eventRow is one line of an event.
func eventRow(e *event.Event) row {
	about := e.Upstream
	for _, s := range []string{e.Target, e.Route, e.Client, e.Certificate} {
		if s != "" {
			about = strings.TrimPrefix(about+" "+s, " ")
		}
	}
	what := strings.TrimSpace(text(e.Message()) + " " + text(about))
	if e.Cause != "" {
		what += ": " + text(e.Cause)
	}
	return row{[]string{e.Time.Local().Format("15:04:05"), what}, e.Worse}
}

func (m *model) viewEvents(room int) []string {
	var rows []row
	for i := range m.frame.Events {
		rows = append(rows, eventRow(&m.frame.Events[i]))
	}
	lines := m.table([]column{{"TIME", 8, false}, {"WHAT", 0, false}}, rows, m.cursor[pageEvents], above(room))
	if len(rows) == 0 {
		return lines
	}
	return m.detailed(lines, room, text(string(m.frame.Events[m.cursor[pageEvents]].AppendText(nil))))
}

func (m *model) viewBans(room int) []string {
	var rows []row
	for i := range m.frame.Bans {
		b := &m.frame.Bans[i]
		left := "for good"
		if !b.Until.IsZero() {
			left = span(time.Until(b.Until))
		}
		rows = append(rows, row{[]string{b.Prefix, left, fmt.Sprint(b.Hits), who(&b.By), text(b.Reason)}, false})
	}
	return m.table([]column{{"CLIENT", 24, false}, {"LEFT", 8, false}, {"HITS", 8, true}, {"BY", 20, false}, {"REASON", 0, false}}, rows, m.cursor[pageBans], room)
}
