package topview

import (
	"context"
	"io"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/ops/overview"

	tea "charm.land/bubbletea/v2"
)

// Options say what is shown, and where.
type Options struct {
	Client      *admin.Client
	In          io.Reader
	Out         io.Writer
	Environment []string      // TERM, NO_COLOR and the like
	Every       time.Duration // between two looks
	Session     []string      // addresses from which the operator is logged in, which aren't banned
	Undo        string        // flags that commands need to find the process, with a space in front
}

// Run shows the proxy until the operator quits, ctx ends or nobody can be asked at first. It
// returns nil when the operator has quit.
func Run(ctx context.Context, o Options) error {
	m := newModel(ctx, o)
	first, err := m.watcher.Look(ctx)
	if err != nil {
		return err
	}
	m.frame = first
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithEnvironment(o.Environment))
	_, err = p.Run()
	return err
}

func newModel(ctx context.Context, o Options) *model {
	return &model{ctx: ctx, opt: o, watcher: overview.New(o.Client), width: 80, height: 24}
}
