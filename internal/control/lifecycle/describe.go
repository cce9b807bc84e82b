package lifecycle

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"

	"sentinel/internal/dataplane/listen"
)

// detailsMax is how many problems a log line names; the rest is counted.
const detailsMax = 3

// description is an error as logs and the admin API tell it.
type description struct {
	kind  string // fixed text, to group by
	lines []string
}

// describe sorts an error of a start or a reload.
func describe(err error) description {
	var c *ConfigError
	var b *listen.BindError
	var r *revertedError
	var s *stepError
	var w *promiseError
	switch {
	case errors.As(err, &w):
		return description{"a confirmation can't be awaited", []string{w.Error()}}
	case errors.As(err, &r):
		return description{"configuration was taken back", []string{r.Error()}}
	case errors.As(err, &c):
		return description{c.Kind, c.Lines}
	case errors.As(err, &s):
		return description{s.step, strings.Split(s.err.Error(), "\n")}
	case errors.As(err, &b) && errors.Is(err, syscall.EADDRINUSE):
		return description{"address in use", strings.Split(err.Error(), "\n")}
	case errors.As(err, &b):
		return description{"address not available", strings.Split(err.Error(), "\n")}
	}
	return description{"system error", strings.Split(err.Error(), "\n")}
}

// stepError is an error that is grouped by the step of an upgrade that failed.
type stepError struct {
	step string // fixed text
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// log writes the description as one line.
func (d description) log(log *slog.Logger, message string, args ...any) {
	shown := d.lines[:min(len(d.lines), detailsMax)]
	args = append([]any{"error", d.kind, "detail", strings.Join(shown, "; ")}, args...)
	if more := len(d.lines) - len(shown); more > 0 {
		args = append(args, "more", more)
	}
	log.Error(message, args...)
}

// noteArgs is the part of a log line that carries the notes of a configuration.
func noteArgs(notes []string) []any {
	if len(notes) == 0 {
		return nil
	}
	return []any{"notes", strings.Join(notes, "; ")}
}

func addressList(all []listen.Binding) string {
	var b strings.Builder
	for i, x := range all {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(x.Listener + "=" + x.Address)
	}
	return b.String()
}
