package incident

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sentinel/internal/observe/event"
)

const (
	// onsetWindow is how long before its detection an incident can have begun.
	onsetWindow = 30 * time.Minute
	// eventsBytesMax bounds the events of a snapshot that are read.
	eventsBytesMax = 64 << 20
	// lineBytesMax bounds an event's text in a timeline.
	lineBytesMax = 300
)

// Moment is one line of a timeline.
type Moment struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Events returns the events that the snapshots of an incident hold, in the order of time.
func (s *Store) Events(r *Record) []event.Event {
	var all []event.Event
	for _, t := range r.Snapshots {
		text, err := readAtMost(s.Path(r.ID, t.Folder, eventsName), eventsBytesMax)
		var list []event.Event
		if err == nil && json.Unmarshal(text, &list) == nil {
			all = append(all, list...)
		}
	}
	slices.SortStableFunc(all, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
	return slices.CompactFunc(all, func(a, b event.Event) bool { return a.Seq == b.Seq && a.Time.Equal(b.Time) && a.Kind == b.Kind })
}

// Infer fills in the moments that nobody has told, by what the events say: the onset is the
// first change for the worse of the half hour before it was detected, and it was mitigated by
// the last change that somebody asked for and after which no target or upstream got worse.
func Infer(r *Record, events []event.Event) {
	detected, ok := r.Marks[MarkDetected]
	if !ok {
		detected = r.Started
		r.Mark(MarkDetected, detected)
	}
	if _, ok := r.Marks[MarkOnset]; !ok {
		r.Mark(MarkOnset, onset(events, detected))
	}
	if _, ok := r.Marks[MarkResolved]; !ok && !r.Open() {
		r.Mark(MarkResolved, r.Ended)
	}
	if _, ok := r.Marks[MarkMitigated]; !ok {
		if at, ok := mitigation(events, detected, r.Ended); ok {
			r.Mark(MarkMitigated, at)
		}
	}
}

// onset returns when the trouble that was detected began.
func onset(events []event.Event, detected time.Time) time.Time {
	for i := range events {
		e := &events[i]
		if e.Worse && !byHand(e) && e.Kind != event.KindIncident && e.Time.After(detected.Add(-onsetWindow)) && e.Time.Before(detected) {
			return e.Time
		}
	}
	return detected
}

// mitigation returns when the first change by hand came that nothing got worse after.
func mitigation(events []event.Event, from, to time.Time) (at time.Time, ok bool) {
	for i := range events {
		e := &events[i]
		switch {
		case e.Time.Before(from), !to.IsZero() && e.Time.After(to):
		case byHand(e):
			if !ok {
				at, ok = e.Time, true
			}
		case e.Worse && e.Kind != event.KindIncident:
			ok = false
		}
	}
	return at, ok
}

// byHand reports whether somebody asked for a change.
func byHand(e *event.Event) bool {
	switch e.Kind {
	case event.KindDrain:
		return true
	case event.KindBan:
		return e.Worse || strings.HasPrefix(e.Cause, "lifted by ")
	case event.KindReload:
		return !e.Worse
	}
	return false
}

// Timeline returns what happened in the order of time: the marks, notes, snapshots and
// events from the onset to the end.
func Timeline(r *Record, events []event.Event) []Moment {
	var all []Moment
	add := func(at time.Time, format string, args ...any) {
		all = append(all, Moment{at.UTC(), oneLine(fmt.Sprintf(format, args...))})
	}
	add(r.Started, "incident declared %s by %s: %s", r.Severity, r.By, orUnknown(r.Summary))
	for name, at := range r.Marks {
		add(at, "%s", name)
	}
	for _, n := range r.Notes {
		add(n.At, "%s: %s", n.By, n.Text)
	}
	for _, t := range r.Snapshots {
		add(t.At, "%s taken by %s", t.Folder, t.By)
	}
	from := r.Marks[MarkOnset]
	for i := range events {
		e := &events[i]
		if !e.Time.Before(from) && (r.Open() || !e.Time.After(r.Ended)) {
			add(e.Time, "%s", eventText(e))
		}
	}
	if !r.Open() {
		add(r.Ended, "incident ended")
	}
	slices.SortStableFunc(all, func(a, b Moment) int { return a.At.Compare(b.At) })
	return all
}

// eventText is an event's line without time and level.
func eventText(e *event.Event) string {
	text := string(e.AppendText(nil))
	if _, after, ok := strings.Cut(text, " "); ok {
		if _, after, ok = strings.Cut(after, " "); ok {
			text = after
		}
	}
	return text
}

// oneLine returns text without anything that could break a table, and not too long.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '|' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > lineBytesMax {
		text = strings.ToValidUTF8(text[:lineBytesMax], "") + "..."
	}
	return strings.TrimSpace(text)
}
