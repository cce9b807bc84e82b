// Package accesslog writes a line per exchange without making the exchange wait.
//
//	Record ─┬─ access stream: every exchange      ── buffers ── its goroutine ── file, stderr or journald
//	        └─ event stream: those that went wrong ── buffers ── its goroutine ── where events go
//
// A line is encoded straight into a buffer of bounded size that belongs to the caller's cell, under a
// lock held for less than a microsecond. When the reader behind falls behind, lines are
// dropped and counted, never waited for. Lines of different cells may stand out
// of order by as much as the flush interval.
package accesslog
