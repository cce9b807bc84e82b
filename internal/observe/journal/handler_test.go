package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"sentinel/internal/dataplane/fault"
)

func TestText(t *testing.T) {
	var out bytes.Buffer
	j := New(To(&out, EncodingText), slog.LevelInfo)
	log := j.Logger()
	for _, test := range []struct {
		write func()
		want  string
	}{
		{func() { log.Info("Configuration reload succeeded", "generation", 2) }, `INFO Configuration reload succeeded, generation=2`},
		{
			func() { log.Error("request failed", "error", fault.UpstreamRefused, "route", "api", "status", 502) },
			`ERROR request failed, error="upstream refused connection", route="api", status=502`,
		},
		{
			func() { log.Warn("retry", "error", fault.UpstreamReset.With(errors.New("read 10.0.0.1: reset"))) },
			`WARN retry, error="upstream reset before the response", cause="read 10.0.0.1: reset"`,
		},
		{
			func() { log.Info("a\nforged ERROR \"line\"", "k", "v\n2026 ERROR x", "bad key=,\"", true) },
			`INFO a\nforged ERROR \x22line\x22, k="v\n2026 ERROR x", bad_key___=true`,
		},
		{func() { log.With("a", 1).WithGroup("g").With("b", 2).Info("m", "c", 3, slog.Group("h", "d", 4)) }, `INFO m, a=1, g.b=2, g.c=3, g.h.d=4`},
		{
			func() {
				log.Info("m", "d", 1500*time.Millisecond, "u", uint64(7), "t", time.Unix(0, 0), "f", 1.5, "n", nil)
			},
			`INFO m, d="1.5s", u=7, t="1970-01-01T00:00:00Z", f=1.5, n="<nil>"`,
		},
		{func() { log.Debug("hidden") }, ``},
		{func() { j.SetLevel(slog.LevelDebug); log.Debug("shown") }, `DEBUG shown`},
	} {
		out.Reset()
		test.write()
		got := strings.TrimSuffix(out.String(), "\n")
		if head := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z `).FindString(got); head == "" && test.want != "" {
			t.Errorf("%q doesn't begin with a time", got)
		} else if got[len(head):] != test.want {
			t.Errorf("got  %s\nwant %s", got[len(head):], test.want)
		}
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	err := slogtest.TestHandler(New(To(&out, EncodingJSON), slog.LevelInfo).Logger().Handler(), func() []map[string]any {
		var all []map[string]any
		for line := range bytes.Lines(out.Bytes()) {
			m := map[string]any{}
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			all = append(all, nested(m))
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

// nested turns dotted keys into groups and message into msg, as slogtest expects.
func nested(flat map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range flat {
		if key == "message" {
			key = slog.MessageKey
		}
		if t, ok := v.(string); ok && key == "time" && strings.HasPrefix(t, "0001-") {
			continue
		}
		m := out
		parts := strings.Split(key, ".")
		for _, group := range parts[:len(parts)-1] {
			inner, ok := m[group].(map[string]any)
			if !ok {
				inner = map[string]any{}
				m[group] = inner
			}
			m = inner
		}
		m[parts[len(parts)-1]] = v
	}
	return out
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sentinel.log")
	out, err := OpenFile(path, EncodingText)
	if err != nil {
		t.Fatal(err)
	}
	j := New(out, slog.LevelInfo)
	j.Logger().Info("first")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	j.Logger().Info("second")
	if err := j.Reopen(); err != nil {
		t.Fatal(err)
	}
	j.Logger().Info("third")
	for name, want := range map[string]string{path + ".1": "first second", path: "third"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(regexp.MustCompile(`first|second|third`).FindAllString(string(text), -1), " "); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	if err := os.Rename(filepath.Dir(path), filepath.Dir(path)+"x"); err != nil {
		t.Fatal(err)
	}
	if err := j.Reopen(); err == nil {
		t.Errorf("Reopen() in a folder that is gone: no error")
	}
	if err := out.Write([]byte("still written\n")); err != nil {
		t.Errorf("after a failed Reopen: %v", err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if err := out.Write([]byte("x")); !errors.Is(err, errClosed) {
		t.Errorf("Write after Close = %v, want %v", err, errClosed)
	}
}

func TestSetOutput(t *testing.T) {
	var a, b bytes.Buffer
	first := To(&a, EncodingText)
	j := New(first, slog.LevelInfo)
	log := j.Logger().With("k", "v")
	log.Info("one")
	if got := j.SetOutput(To(&b, EncodingJSON)); got != first {
		t.Errorf("SetOutput() = %p, want the one before, %p", got, first)
	}
	log.Info("two")
	if !strings.HasSuffix(a.String(), "INFO one, k=\"v\"\n") || !strings.Contains(b.String(), `"message":"two","k":"v"}`) {
		t.Errorf("outputs hold %q and %q", a.String(), b.String())
	}
	if err := To(io.Discard, EncodingText).Close(); err != nil {
		t.Error(err)
	}
}

// replacing is an output that is replaced while it is being written to.
type replacing struct{ replace func() }

func (r replacing) Write([]byte) (int, error) {
	r.replace()
	return 0, errClosed
}

// TestReplacedWhileWriting checks that an event isn't lost to an output closed under it.
func TestReplacedWhileWriting(t *testing.T) {
	var b bytes.Buffer
	var j *Journal
	writes := 0
	j = New(To(replacing{func() {
		writes++
		j.SetOutput(To(&b, EncodingText))
	}}, EncodingText), slog.LevelInfo)
	j.Logger().Info("Configuration reload succeeded")
	if got := b.String(); writes != 1 || !strings.HasSuffix(got, " INFO Configuration reload succeeded\n") {
		t.Errorf("after %d writes the new output has %q", writes, got)
	}
	writes = 0
	j = New(To(replacing{func() { writes++ }}, EncodingText), slog.LevelInfo)
	j.Logger().Info("lost")
	if writes != 1 {
		t.Errorf("%d writes to a broken output that stays, want 1", writes)
	}
}

// TestWrappedFault checks that the value of error is a fixed text however deep the fault is.
func TestWrappedFault(t *testing.T) {
	cause := errors.New("dial 10.0.0.1:80: refused")
	for _, test := range []struct {
		err  error
		want string
	}{
		{fault.UpstreamRefused, `error="upstream refused connection"`},
		{fault.UpstreamRefused.With(cause), `error="upstream refused connection", cause="dial 10.0.0.1:80: refused"`},
		{
			fmt.Errorf("attempt: %w", fault.UpstreamRefused.With(cause)),
			`error="upstream refused connection", cause="attempt: upstream refused connection: dial 10.0.0.1:80: refused"`,
		},
		{cause, `error="dial 10.0.0.1:80: refused"`},
	} {
		var b bytes.Buffer
		New(To(&b, EncodingText), slog.LevelInfo).Logger().Error("m", "error", test.err)
		if got := b.String(); !strings.HasSuffix(got, " ERROR m, "+test.want+"\n") {
			t.Errorf("%v is written as %q, want %q", test.err, got, test.want)
		}
	}
}
