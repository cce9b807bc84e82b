package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeJournald receives native datagrams.
type fakeJournald struct {
	path string
	conn *net.UnixConn
}

func newFakeJournald(t *testing.T) *fakeJournald {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &fakeJournald{path, conn}
}

// next returns the fields of the next entry.
func (f *fakeJournald) next(t *testing.T) (fields map[string]string, byFile bool) {
	t.Helper()
	if err := f.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	data, oob := make([]byte, 1<<20), make([]byte, 64)
	n, oobn, _, _, err := f.conn.ReadMsgUnix(data, oob)
	if err != nil {
		t.Fatal(err)
	}
	data = data[:n]
	if oobn > 0 {
		data = receiveFile(t, oob[:oobn])
	}
	fields, err = parseEntry(data)
	if err != nil {
		t.Fatalf("%v: %q", err, data)
	}
	return fields, oobn > 0
}

func receiveFile(t *testing.T, oob []byte) []byte {
	t.Helper()
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[0]), "entry")
	defer file.Close()
	seals, err := unix.FcntlInt(file.Fd(), unix.F_GET_SEALS, 0)
	if want := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL; err != nil || seals != want {
		t.Errorf("seals = %x, %v, want %x", seals, err, want)
	}
	data, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parseEntry reads journald's native format as its manual describes it.
func parseEntry(data []byte) (map[string]string, error) {
	fields := map[string]string{}
	for len(data) > 0 {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			return nil, fmt.Errorf("no line feed after %q", line)
		}
		name, value, plain := bytes.Cut(line, []byte("="))
		if !plain {
			if len(rest) < 8 {
				return nil, fmt.Errorf("no length after %q", name)
			}
			n := binary.LittleEndian.Uint64(rest)
			rest = rest[8:]
			if uint64(len(rest)) < n+1 || rest[n] != '\n' {
				return nil, fmt.Errorf("value of %q cut short", name)
			}
			value, rest = rest[:n], rest[n+1:]
		}
		if _, twice := fields[string(name)]; twice {
			return nil, fmt.Errorf("field %q twice", name)
		}
		fields[string(name)] = string(value)
		data = rest
	}
	return fields, nil
}

func TestNative(t *testing.T) {
	journald := newFakeJournald(t)
	out, err := OpenNative(journald.path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	log := New(out, slog.LevelDebug).Logger()
	for _, test := range []struct {
		write func()
		want  map[string]string
	}{
		{
			func() { log.Info("Configuration reload succeeded", "generation", 2) },
			map[string]string{"MESSAGE": "Configuration reload succeeded, generation=2", "PRIORITY": "6", "GENERATION": "2"},
		},
		{
			func() { log.Error("request failed", "error", "x", "client_ip", "192.0.2.7", "request_id", "7f") },
			map[string]string{
				"MESSAGE":  `request failed, error="x", client_ip="192.0.2.7", request_id="7f", level=ERROR`,
				"PRIORITY": "3", "ERROR": "x", "CLIENT_IP": "192.0.2.7", "REQUEST_ID": "7f",
			},
		},
		{
			func() { log.Warn("panic", "stack", "a\nb=c\n") },
			map[string]string{"MESSAGE": `panic, stack="a\nb=c\n", level=WARN`, "PRIORITY": "4", "STACK": "a\nb=c\n"},
		},
		{
			func() { log.Debug("m", "priority", 1, "_x.y", 2, "9", 3, "\u65e5", 4) },
			map[string]string{"PRIORITY": "7", "PRIORITY_VALUE": "1", "X_Y": "2"},
		},
	} {
		test.write()
		got, byFile := journald.next(t)
		if byFile {
			t.Errorf("a small entry came as a file")
		}
		test.want["SYSLOG_IDENTIFIER"] = "sentinel"
		for name, want := range test.want {
			if got[name] != want {
				t.Errorf("%s = %q, want %q", name, got[name], want)
			}
		}
		if _, empty := got[""]; empty {
			t.Errorf("a field without a name: %q", got)
		}
	}
}

func TestNativeOversize(t *testing.T) {
	journald := newFakeJournald(t)
	sink, err := openNative(journald.path)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.close()
	// A datagram must fit the send buffer; a small one makes the entry too large.
	if err := sink.conn.SetWriteBuffer(4096); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 300_000)
	record := EndRecord(AppendField(BeginRecord(nil), "MESSAGE", big), 0)
	if err := sink.write(record); err != nil {
		t.Fatal(err)
	}
	got, byFile := journald.next(t)
	if !byFile || got["MESSAGE"] != big {
		t.Errorf("byFile = %v, MESSAGE has %d bytes, want a file with %d", byFile, len(got["MESSAGE"]), len(big))
	}
}

// TestNativeRestart checks that a journald that was away is reached again.
func TestNativeRestart(t *testing.T) {
	journald := newFakeJournald(t)
	out, err := OpenNative(journald.path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	journald.conn.Close()
	if err := os.Remove(journald.path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	log := New(out, slog.LevelInfo).Logger()
	if err := log.Handler().Handle(t.Context(), slog.Record{Message: "lost"}); err == nil {
		t.Errorf("no error without a journald")
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: journald.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	log.Info("back")
	if got, _ := (&fakeJournald{conn: conn}).next(t); got["MESSAGE"] != "back" {
		t.Errorf("MESSAGE = %q, want %q", got["MESSAGE"], "back")
	}
}

func TestStartedBySystemd(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	stream := fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	for _, test := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"JOURNAL_STREAM": stream}, true},
		{map[string]string{"JOURNAL_STREAM": stream + "1", "NOTIFY_SOCKET": "/n", "INVOCATION_ID": "i"}, false},
		{map[string]string{"JOURNAL_STREAM": "x"}, false},
		{map[string]string{"INVOCATION_ID": "i"}, false},
		{map[string]string{"NOTIFY_SOCKET": "/n", "INVOCATION_ID": "i"}, true},
	} {
		if got := StartedBySystemd(func(k string) string { return test.env[k] }, file); got != test.want {
			t.Errorf("StartedBySystemd(%v) = %v, want %v", test.env, got, test.want)
		}
	}
}
