package accesslog

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"sentinel/internal/observe/journal"
)

// served is an exchange with 12 fields in its line.
func served() *Entry {
	return &Entry{
		Time:      time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC),
		Client:    netip.MustParseAddr("192.0.2.7"),
		Method:    []byte("GET"),
		Host:      []byte("api.example.com"),
		Path:      []byte("/v1/orders/4711"),
		Route:     "api",
		Upstream:  "primary-backend",
		Target:    "10.0.0.1:8080",
		RequestID: []byte("01HXA7Q2K3M4N5P6"),
		Status:    200,
		BytesOut:  1024,
		Total:     1234 * time.Microsecond,
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, enc := range map[string]journal.Encoding{
		"text": journal.EncodingText, "json": journal.EncodingJSON, "native": journal.EncodingNative,
	} {
		b.Run(name, func(b *testing.B) {
			e, buf := served(), make([]byte, 0, 4096)
			var c clock
			for b.Loop() {
				buf = appendEntry(buf[:0], enc, &c, e)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkRecord includes the writing, to nowhere. It flushes as often as keeps the
// buffer from filling up, because a dropped line costs next to nothing.
func BenchmarkRecord(b *testing.B) {
	dropped := 0
	l := New(Options{Cells: 2, Access: journal.To(io.Discard, journal.EncodingText), Dropped: func(n int) { dropped += n }})
	e, n := served(), 0
	for b.Loop() {
		l.Record(1, e)
		if n++; n%1024 == 0 {
			l.Flush()
		}
	}
	l.Flush()
	if dropped > 0 {
		b.Errorf("%d lines were dropped, so the time isn't that of a line", dropped)
	}
}
