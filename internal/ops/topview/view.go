package topview

import (
	"fmt"
	"strings"
	"time"

	"sentinel/internal/control/admin"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// The styles. What they say is said by words or marks too: NO_COLOR takes the colours only.
// Blue and yellow are told apart by everybody.
var (
	styleTitle  = lipgloss.NewStyle().Bold(true).Reverse(true)
	styleHead   = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("6"))
	styleBad    = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("3"))
	styleChosen = lipgloss.NewStyle().Reverse(true)
	styleQuiet  = lipgloss.NewStyle().Faint(true)
)

const (
	headLines   = 4
	footLines   = 1
	widthLeast  = 40
	heightLeast = 10
)

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.screen(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "sentinel top"
	return v
}

// screen returns the lines of the whole screen, as many as it is high.
func (m *model) screen() []string {
	if m.width < widthLeast || m.height < heightLeast {
		return []string{cut("too small: 80x24 wanted", max(m.width, 1))}
	}
	lines := m.head()
	room := m.height - headLines - footLines
	var body []string
	switch {
	case m.dialog != nil:
		body = m.viewDialog()
	case m.help:
		body = m.viewHelp()
	default:
		body = m.viewPage(room)
	}
	for i := range room {
		line := ""
		if i < len(body) {
			line = m.clip(body[i])
		}
		lines = append(lines, line)
	}
	foot := m.foot()
	return append(lines[:m.height-len(foot)], foot...)
}

func (m *model) viewPage(room int) []string {
	switch m.page {
	case pageUpstreams:
		return m.viewUpstreams(room)
	case pageRoutes:
		return m.viewRoutes(room)
	case pageClients:
		return m.viewClients(room)
	case pageFaults:
		return m.viewFaults(room)
	case pageEvents:
		return m.viewEvents(room)
	case pageBans:
		return m.viewBans(room)
	}
	return m.viewOverview(room)
}

// head is the top of every page.
func (m *model) head() []string {
	f, p := m.frame, &m.frame.Process
	ready := "READY"
	if !p.Ready {
		ready = "! NOT READY"
	}
	left := fmt.Sprintf(" Sentinel %s  %s, %s  generation %d  up %s", text(f.Version), strings.ToUpper(p.State), ready, p.Generation, span(time.Duration(p.Uptime*float64(time.Second))))
	state := f.At.Format("15:04:05")
	if m.paused {
		state = "PAUSED"
	}
	end := fmt.Sprintf("%s  %s ", who(&f.Who), state)
	title := styleTitle.Render(fit(left, m.width-lipgloss.Width(end)) + end)
	n := &f.Now
	share := 0.0
	if n.Requests > 0 {
		share = min(n.Errors/n.Requests, 1)
	}
	failing := fmt.Sprintf("5xx %s/s (%s)", rate(n.Errors), percent(share))
	if n.Errors > 0 {
		failing = styleBad.Render("! " + failing)
	}
	numbers := fmt.Sprintf(" %s req/s  %s  4xx %s/s  p50 %s  p99 %s  %d conn", rate(n.Requests), failing, rate(n.Refused), millis(n.P50), millis(n.P99), p.Connections)
	return []string{title, m.clip(numbers), m.alert(), m.tabs()}
}

// clip keeps a styled line from being wider than the screen.
func (m *model) clip(s string) string { return lipgloss.NewStyle().MaxWidth(m.width).Render(s) }

// who names who looks, and what he may do.
func who(a *admin.Actor) string {
	name := a.User
	switch {
	case a.Subject != "":
		name = a.Subject
	case a.Login != "":
		name = a.Login
	}
	return cut(text(name), 16) + " (" + a.Role + ")"
}

// alert is the one line that says what is wrong, the worst first.
func (m *model) alert() string {
	var list []string
	if m.err != nil {
		list = append(list, fmt.Sprintf("no answer for %s: %v", span(time.Since(m.failed)), m.err))
	}
	list = append(list, m.frame.Process.Reasons...)
	for i := range m.frame.Upstr {
		if u := &m.frame.Upstr[i]; u.Trouble != "" {
			list = append(list, "upstream "+u.Name+": "+u.Trouble)
		}
	}
	if r := m.frame.Process.LastReload; r != nil && !r.OK {
		list = append(list, "the last reload failed: "+r.Error)
	}
	list = append(list, m.frame.Missing...)
	if len(list) == 0 {
		return styleQuiet.Render(" nothing is wrong that shows here")
	}
	more := ""
	if len(list) > 1 {
		more = fmt.Sprintf("  (and %d more)", len(list)-1)
	}
	return styleBad.Render(" " + cut("! "+text(list[0]), m.width-2-len(more)) + more)
}

func (m *model) tabs() string {
	var b strings.Builder
	for i, name := range pageNames {
		label := fmt.Sprintf(" %d %s ", i+1, name)
		if i == m.page {
			label = styleChosen.Render(fmt.Sprintf("[%d %s]", i+1, name))
		}
		b.WriteString(label)
	}
	return m.clip(b.String())
}

// messageLines bounds the lines of a message.
const messageLines = 4

// foot is the last line: the keys, or what the last action came to, which may take more.
func (m *model) foot() []string {
	if m.message == "" {
		return []string{styleQuiet.Render(cut(m.keys(), m.width))}
	}
	style, rest := styleChosen, text(m.message)
	if m.bad {
		style, rest = styleBad, "! "+rest
	}
	var lines []string
	for len(lines) < messageLines && rest != "" {
		part := cutAt(rest, m.width-2)
		if space := strings.LastIndexByte(part, ' '); len(part) < len(rest) && space > m.width/2 {
			part = part[:space+1]
		}
		lines, rest = append(lines, style.Render(fit(" "+part, m.width))), rest[len(part):]
	}
	return lines
}

// keys names the keys that do something here.
func (m *model) keys() string {
	const all = "q quit  1-7 tab pages  up/down choose  p pause  ? help"
	switch {
	case m.dialog != nil && len(m.dialog.lasts) > 0:
		return " y do it  n leave it  + - for how long"
	case m.dialog != nil:
		return " y do it  n leave it"
	case m.page == pageOverview:
		return " d drain  b ban  " + all
	case m.page == pageUpstreams:
		return " d drain or undo  " + all
	case m.page == pageClients:
		return " b ban  " + all
	case m.page == pageBans:
		return " u lift the ban  " + all
	}
	return " " + all
}

func (m *model) viewDialog() []string {
	d := m.dialog
	lines := []string{"", styleBad.Render("  " + cut(d.ask, m.width-3)), ""}
	for _, n := range d.notes {
		lines = append(lines, "  "+cut(n, m.width-3))
	}
	if len(d.lasts) > 0 {
		lines = append(lines, "", fmt.Sprintf("  For how long: %s   (+ and - change it)", styleChosen.Render(" "+span(d.lasts[d.pick])+" ")))
	}
	return append(lines, "", "  y   "+d.verb, "  n   no, leave it")
}

func (m *model) viewHelp() []string {
	return []string{
		"",
		styleHead.Render("  Pages"),
		"  1 to 7, tab, left, right   go from page to page",
		"  up, down, PgUp, PgDn       choose a row",
		"",
		styleHead.Render("  Changes, each after a confirmation"),
		"  d   drain the chosen target or upstream, or undo that",
		"  b   ban the chosen client for a while",
		"  u   lift the chosen ban",
		"",
		styleHead.Render("  Else"),
		"  p   pause and go on       q, ctrl+c   quit",
		"",
		"  Rates are of the last seconds, shares and latencies of the last minute.",
		"  ! marks what is wrong. Changes want the role operate: docs/admin.md.",
		"",
		"  any key goes back",
	}
}
