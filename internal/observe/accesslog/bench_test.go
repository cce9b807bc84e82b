package accesslog

import (
	"context"
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

// BenchmarkRecord includes the writing, to nowhere, at the rate that one core can encode.
func BenchmarkRecord(b *testing.B) {
	dropped := 0
	l := New(Options{Cells: 2, Access: journal.To(io.Discard, journal.EncodingText), Dropped: func(n int) { dropped += n }})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { l.Run(ctx); close(done) }()
	e := served()
	for b.Loop() {
		l.Record(1, e)
	}
	stop()
	<-done
	b.ReportMetric(float64(dropped)/float64(b.N), "dropped/op")
}
