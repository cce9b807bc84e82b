package event

import (
	"context"
	"log/slog"
	"time"
)

// writeLines writes the lines that are due until there is none, then lets go of writing.
func (l *Log) writeLines() {
	for {
		e, ok := l.nextLine()
		if !ok {
			return
		}
		list, n := e.pairs()
		l.write(e.Time, e.Level(), e.Message(), list[:n])
	}
}

// nextLine returns the next event that gets a line.
func (l *Log) nextLine() (Event, bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if size := uint64(len(l.mu.ring)); l.mu.last-l.mu.logged > size {
		// The log was slower than a whole ring of events.
		lost := l.mu.last - size - l.mu.logged
		l.mu.logged += lost
		l.leaveOutLocked(int(lost), true)
	}
	for l.mu.logged < l.mu.last {
		l.mu.logged++
		e := l.atLocked(l.mu.logged)
		switch {
		case e.silent:
		case e.asked() || l.takeLocked(now):
			return e.Event, true
		default:
			l.leaveOutLocked(1, e.Worse)
		}
	}
	l.mu.writing = false
	return Event{}, false
}

// asked reports whether a person asked for the change.
func (e *Event) asked() bool {
	return e.Kind == KindDrain || e.Kind == KindReload || e.Kind == KindUpgrade || e.Kind == KindListener || e.Kind == KindOverride
}

// takeLocked reports whether one more line may be written in this second.
func (l *Log) takeLocked(now time.Time) bool {
	if now.Sub(l.mu.second) >= time.Second {
		l.mu.second, l.mu.lines = now, 0
	}
	if l.mu.lines >= linesPerSecond {
		return false
	}
	l.mu.lines++
	return true
}

// leaveOutLocked counts n events without a line. The first of them sees to it that the log
// tells of them a second later.
func (l *Log) leaveOutLocked(n int, worse bool) {
	if l.mu.left == 0 {
		time.AfterFunc(time.Second, l.tellLeftOut)
	}
	l.mu.left += n
	l.mu.worse = l.mu.worse || worse
}

func (l *Log) tellLeftOut() {
	l.mu.Lock()
	e, n := Event{Worse: l.mu.worse}, l.mu.left
	l.mu.left, l.mu.worse = 0, false
	l.mu.Unlock()
	l.write(time.Now(), e.Level(), "events left out of the log", []slog.Attr{slog.Int("count", n), slog.String("see", "sentinel events")})
}

func (l *Log) write(at time.Time, level slog.Level, message string, pairs []slog.Attr) {
	ctx := context.Background()
	if !l.handler.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(pairs...)
	l.handler.Handle(ctx, r) // an error is the log's own: there is no other place to tell of it
}
