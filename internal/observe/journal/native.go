package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SocketPath is where systemd-journald listens for native datagrams.
const SocketPath = "/run/systemd/journal/socket"

// Identifier is the SYSLOG_IDENTIFIER of every entry.
const Identifier = "sentinel"

const (
	// nativeSendBuffer is asked for, as journald's own library does.
	nativeSendBuffer = 8 << 20
	// nativePatience bounds the wait for a journald that reads nothing.
	nativePatience = time.Second
	// fieldNameMax is journald's limit for the name of a field.
	fieldNameMax = 64
)

// AppendField appends one field of a native entry: NAME=value and a line feed,
// or, when the value holds one itself, the name, the length as 64 bits little-endian,
// and the value. name must be a valid field name (see FieldName).
func AppendField[T Text](dst []byte, name string, value T) []byte {
	dst = append(dst, name...)
	for i := range len(value) {
		if value[i] == '\n' {
			dst = append(dst, '\n')
			dst = binary.LittleEndian.AppendUint64(dst, uint64(len(value)))
			dst = append(dst, value...)
			return append(dst, '\n')
		}
	}
	dst = append(dst, '=')
	dst = append(dst, value...)
	return append(dst, '\n')
}

// AppendIntField appends one numeric field of a native entry.
func AppendIntField(dst []byte, name string, n int64) []byte {
	dst = append(dst, name...)
	dst = append(dst, '=')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\n')
}

// AppendFieldName appends key as the name of a field: upper case, digits
// and underscores, at most 64 bytes, beginning with a letter, and none of the names
// that have a meaning of their own. It returns dst unchanged when nothing is left of the key.
func AppendFieldName(dst []byte, key string) []byte {
	start := len(dst)
	for i := 0; i < len(key) && len(dst)-start < fieldNameMax; i++ {
		c := key[i]
		switch {
		case 'a' <= c && c <= 'z':
			dst = append(dst, c-'a'+'A')
		case 'A' <= c && c <= 'Z', len(dst) > start && '0' <= c && c <= '9':
			dst = append(dst, c)
		case len(dst) > start:
			dst = append(dst, '_')
		}
	}
	switch string(dst[start:]) {
	case "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE_ID":
		return append(dst, "_VALUE"...)
	}
	return dst
}

// BeginRecord starts a record of the native encoding; EndRecord with the
// length of dst before it completes it.
func BeginRecord(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

// EndRecord completes the record that began at start.
func EndRecord(dst []byte, start int) []byte {
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// nativeSink sends entries to journald, one datagram each.
type nativeSink struct {
	conn *net.UnixConn
	to   *net.UnixAddr
}

func openNative(path string) (*nativeSink, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("journal socket: %w", err)
	}
	if err := conn.SetWriteBuffer(nativeSendBuffer); err != nil {
		return nil, errors.Join(fmt.Errorf("journal socket: %w", err), conn.Close())
	}
	return &nativeSink{conn: conn, to: &net.UnixAddr{Name: path, Net: "unixgram"}}, nil
}

// write sends each record. It goes on after a failed one and returns all errors.
func (s *nativeSink) write(records []byte) (err error) {
	for len(records) >= 4 {
		n := int(binary.LittleEndian.Uint32(records))
		records = records[4:]
		if n > len(records) {
			return errors.Join(err, errors.New("journal record cut short"))
		}
		err = errors.Join(err, s.send(records[:n]))
		records = records[n:]
	}
	return err
}

func (s *nativeSink) send(entry []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(nativePatience)); err != nil {
		return err
	}
	_, _, err := s.conn.WriteMsgUnix(entry, nil, s.to)
	if errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS) {
		return s.sendFile(entry)
	}
	return err
}

// sendFile passes an entry too large for a datagram as a sealed memory file.
func (s *nativeSink) sendFile(entry []byte) error {
	fd, err := unix.MemfdCreate("journal-entry", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("journal entry of %d bytes: %w", len(entry), err)
	}
	file := os.NewFile(uintptr(fd), "journal-entry")
	_, err = file.Write(entry)
	if err == nil {
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS,
			unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
	}
	if err == nil {
		_, _, err = s.conn.WriteMsgUnix(nil, syscall.UnixRights(fd), s.to)
	}
	return errors.Join(err, file.Close())
}

func (s *nativeSink) reopen() error { return nil }

func (s *nativeSink) close() error { return s.conn.Close() }

// StartedBySystemd reports whether events belong into the journal: JOURNAL_STREAM
// names the device and inode of stderr, or, where the unit sends stderr elsewhere,
// the process is a service with a notify socket. A stderr redirected by a shell inside a
// unit is respected.
func StartedBySystemd(getenv func(string) string, stderr *os.File) bool {
	stream := getenv("JOURNAL_STREAM")
	if stream == "" {
		return getenv("NOTIFY_SOCKET") != "" && getenv("INVOCATION_ID") != ""
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(stderr.Fd()), &st); err != nil {
		return false
	}
	dev, ino, ok := bytes.Cut([]byte(stream), []byte(":"))
	return ok && string(dev) == strconv.FormatUint(st.Dev, 10) && string(ino) == strconv.FormatUint(st.Ino, 10)
}
