package topview

import (
	"context"
	"fmt"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/ops/overview"

	tea "charm.land/bubbletea/v2"
)

// The pages.
const (
	pageOverview = iota
	pageUpstreams
	pageRoutes
	pageClients
	pageFaults
	pageEvents
	pageBans
	pages
)

var pageNames = [pages]string{"Overview", "Upstreams", "Routes", "Clients", "Faults", "Events", "Bans"}

// model is all that the view knows.
type model struct {
	ctx     context.Context
	opt     Options
	watcher *overview.Watcher // only ever asked by one command at a time

	frame  *overview.Frame
	err    error     // of the last look
	failed time.Time // when looks began to fail

	width, height int
	page          int
	cursor        [pages]int
	paused        bool
	looking       bool // a look is under way
	help          bool
	dialog        *dialog
	message       string // what the last action has done; until the next key
	bad           bool   // it hasn't
}

// looked is a message: a look is over. An extra one is none that the next follows.
type looked struct {
	frame *overview.Frame
	err   error
	extra bool
}

// tick is a message: it is time for a look.
type tick struct{}

// acted is a message: an action is over.
type acted struct {
	text string
	err  error
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return m.later() }

// later waits and asks for a look.
func (m *model) later() tea.Cmd {
	return tea.Tick(m.opt.Every, func(time.Time) tea.Msg { return tick{} })
}

// look looks, unless somebody does.
func (m *model) look(extra bool) tea.Cmd {
	if m.looking {
		return nil
	}
	m.looking = true
	return func() tea.Msg {
		f, err := m.watcher.Look(m.ctx)
		return looked{f, err, extra}
	}
}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tick:
		if m.paused || m.looking {
			return m, m.later()
		}
		return m, m.look(false)
	case looked:
		m.looking = false
		m.take(msg)
		if !msg.extra {
			return m, m.later()
		}
	case acted:
		m.message, m.bad = msg.text, msg.err != nil
		if msg.err != nil {
			m.message = msg.err.Error()
		}
		return m, m.look(true)
	case tea.KeyPressMsg:
		return m, m.key(msg.String())
	}
	return m, nil
}

// take shows a look; one that failed leaves what was seen before.
func (m *model) take(l looked) {
	if l.err != nil {
		if m.err == nil {
			m.failed = time.Now()
		}
		m.err = l.err
		return
	}
	m.err, m.frame = nil, l.frame
	for p := range m.cursor {
		m.cursor[p] = max(0, min(m.cursor[p], m.rows(p)-1))
	}
}

// rows returns how many rows of a page can be chosen.
func (m *model) rows(page int) int {
	switch page {
	case pageUpstreams:
		return len(m.targets())
	case pageRoutes:
		return len(m.frame.Routes)
	case pageClients:
		return len(m.frame.Clients.Entries)
	case pageFaults:
		return len(m.frame.Faults)
	case pageEvents:
		return len(m.frame.Events)
	case pageBans:
		return len(m.frame.Bans)
	}
	return 0
}

// target is a row of the page of upstreams: an upstream as a whole where target is nil.
type target struct {
	up     *overview.Upstream
	target *admin.TargetStatus
}

func (m *model) targets() []target {
	var list []target
	for i := range m.frame.Upstr {
		u := &m.frame.Upstr[i]
		list = append(list, target{up: u})
		for j := range u.Targets {
			list = append(list, target{u, &u.Targets[j]})
		}
	}
	return list
}

// key acts on a key.
func (m *model) key(key string) tea.Cmd {
	if key == "ctrl+c" {
		return tea.Quit
	}
	if m.dialog != nil {
		return m.answer(key)
	}
	m.message = ""
	if m.help {
		m.help = false
		return nil
	}
	switch key {
	case "q":
		return tea.Quit
	case "?", "h":
		m.help = true
	case "p", "space":
		m.paused = !m.paused
	case "tab", "right", "l":
		m.page = (m.page + 1) % pages
	case "shift+tab", "left":
		m.page = (m.page + pages - 1) % pages
	case "d", "b", "u":
		m.act(key)
	default:
		if len(key) == 1 && key[0] >= '1' && key[0] < '1'+pages {
			m.page = int(key[0] - '1')
		} else {
			m.move(key)
		}
	}
	return nil
}

// move moves the cursor of the page.
func (m *model) move(key string) {
	step := map[string]int{"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -10, "pgdown": 10, "home": -1 << 20, "end": 1 << 20, "g": -1 << 20, "G": 1 << 20}[key]
	m.cursor[m.page] = max(0, min(m.cursor[m.page]+step, m.rows(m.page)-1))
}

// say shows a line until the next key.
func (m *model) say(format string, args ...any) {
	m.message, m.bad = fmt.Sprintf(format, args...), true
}
