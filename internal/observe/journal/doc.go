// Package journal writes what happens: events by log/slog, in one text form
// that the runbook's greps rely on, as JSON lines, or to systemd-journald in
// its native protocol.
//
// The text form is a message and then pairs, separated by a comma and a space:
//
//	2026-11-24T12:00:00.123Z ERROR upstream check failed, error="upstream refused connection", upstream="a"
//
// Time and level stand in front on a terminal and in files. In the journal they are
// fields; warnings and errors carry the level as their last pair too, so that
// grep ERROR works on journalctl's output. No value can forge a line: control
// characters, quotes and invalid UTF-8 are escaped.
package journal
