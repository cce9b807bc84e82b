package lifecycle

import (
	"fmt"
	"strings"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
	"sentinel/internal/control/regress"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

// Regression is what is made of a reload after which requests fare worse.
type Regression struct {
	Action string // one of schema's OnRegression constants; "" is to ignore it
	regress.Settings
}

// ignored reports whether nothing is compared.
func (r *Regression) ignored() bool { return r.Action == "" || r.Action == schema.OnRegressionIgnore }

func regressionOf(c *schema.Config) Regression {
	r := &c.System.Reload
	return Regression{Action: r.OnRegression.V, Settings: regress.Settings{
		Window: r.Window.V, RequestsMin: uint64(r.MinRequests.V),
		ErrorIncrease: float64(r.ErrorIncrease.V) / 100, LatencyIncrease: float64(r.LatencyIncrease.V) / 100,
	}}
}

// watching is what the process knows of how requests fare.
type watching struct {
	recorder *regress.Recorder // nil while nothing is compared
	next     time.Time         // end of the step in hand
	now      *regress.Watch    // of the configuration that serves; nil for none
	report   bool              // a finding is only told
}

// observe begins or ends to record, as the configuration that serves has it, and ends the
// step in hand.
func (p *Process) observe() {
	p.mu.Lock()
	r := p.mu.current.Settings.Regression
	p.mu.Unlock()
	w := &p.watching
	if r.ignored() || p.opt.Routes == nil {
		*w = watching{}
		p.showWatch()
		return
	}
	if w.recorder == nil {
		w.recorder = &regress.Recorder{}
	}
	w.recorder.Add(p.opt.Routes())
	w.next = time.Now().Add(r.Step())
	p.arm()
}

// watch has a reload that succeeded compared with what was before it. Not compared are what
// the process or a person took back, and texts that didn't change.
func (p *Process) watch(q order, l *Loaded, was served) {
	p.observe()
	w := &p.watching
	switch {
	case w.recorder == nil:
		if p.probation.wait == nil {
			p.probation = probation{}
		}
		return
	case q.kind != orderReload:
		w.now = nil // what was taken back to is known
	case history.Hash(l.Sources) == history.Hash(was.loaded.Sources):
		return
	default:
		w.now, w.report = w.recorder.Watch(l.Settings.Regression.Settings, w.now), l.Settings.Regression.Action == schema.OnRegressionReport || q.Again
		if w.now == nil {
			p.record(event.Event{Kind: event.KindConfig, To: "uncompared", Cause: "too little is known of how requests fared before"})
		} else if !p.on() {
			p.probation = probation{before: was.loaded, number: was.entry}
		}
	}
	p.showWatch()
}

// look ends a step and does what it tells.
func (p *Process) look() {
	p.observe()
	w := &p.watching
	if w.now == nil {
		return
	}
	found, done := w.now.Look(w.recorder)
	switch {
	case len(found) > 0 && w.report:
		p.tellRegression(found)
		p.endWatch()
	case len(found) > 0:
		watched := w.now
		if p.revert(metric.RollbackRegression, admin.DeviationRegression, "since it serves requests fare worse: "+inWords(found)) {
			w.recorder.Forget(watched)
		}
		w.now = nil
	case done:
		p.record(event.Event{Kind: event.KindConfig, To: "accepted", Cause: fmt.Sprintf("requests fare no worse than before, on %d routes that could be compared", w.now.Compared())})
		p.endWatch()
	}
	p.showWatch()
}

func (p *Process) tellRegression(found []regress.Finding) {
	p.emit(event.Event{Kind: event.KindConfig, Worse: true, To: "worse", Cause: "since it serves requests fare worse: " + inWords(found)})
	p.mu.Lock()
	p.mu.state.Regression = findingLines(found)
	p.mu.Unlock()
}

// endWatch has nothing compared any more; a confirmation may still be awaited.
func (p *Process) endWatch() {
	p.watching.now = nil
	if p.probation.wait == nil {
		p.probation = probation{}
	}
	p.showWatch()
}

// showWatch has the status tell what is compared.
func (p *Process) showWatch() {
	var until *time.Time
	if w := &p.watching; w.now != nil {
		t := w.next.Add(w.now.Left() - p.stepTime())
		until = &t
	}
	p.mu.Lock()
	p.mu.state.ComparedUntil = until
	p.mu.Unlock()
}

func (p *Process) stepTime() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.current.Settings.Regression.Step()
}

func findingLines(found []regress.Finding) []string {
	all := make([]string, len(found))
	for i, f := range found {
		all[i] = f.String()
	}
	return all
}

// findingsMax is how many findings a cause names; the rest is counted.
const findingsMax = 3

func inWords(found []regress.Finding) string {
	all := findingLines(found)
	text := strings.Join(all[:min(len(all), findingsMax)], "; ")
	if more := len(all) - findingsMax; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}
