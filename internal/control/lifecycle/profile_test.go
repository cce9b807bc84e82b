package lifecycle

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A profile is a compressed file that is only whole once the profile has ended.
func TestProfileCPU(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpu.prof")
	t.Setenv(profileVariable, file)
	var log bytes.Buffer
	end := profileCPU(slog.New(slog.NewTextHandler(&log, nil)))
	end()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s is no profile: %v", file, err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil || !bytes.Contains(text, []byte("nanoseconds")) {
		t.Errorf("the profile holds %d bytes, %v, want one that counts nanoseconds", len(text), err)
	}
	if log.Len() > 0 {
		t.Errorf("it logged %q", &log)
	}
}

func TestProfileCPUThatCannotBe(t *testing.T) {
	t.Setenv(profileVariable, filepath.Join(t.TempDir(), "no such folder", "cpu.prof"))
	var log bytes.Buffer
	profileCPU(slog.New(slog.NewTextHandler(&log, nil)))()
	if !strings.Contains(log.String(), "no CPU profile is written") {
		t.Errorf("it logged %q, want why there is no profile", &log)
	}
}

func TestProfileCPUUnasked(t *testing.T) {
	t.Setenv(profileVariable, "")
	var log bytes.Buffer
	profileCPU(slog.New(slog.NewTextHandler(&log, nil)))()
	if log.Len() > 0 {
		t.Errorf("it logged %q", &log)
	}
}
