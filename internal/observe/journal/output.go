package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Encoding is the form of records.
type Encoding uint8

// The encodings.
const (
	// EncodingText is a line per record: time, level, message, pairs.
	EncodingText Encoding = iota
	// EncodingJSON is a JSON object per line.
	EncodingJSON
	// EncodingNative is a journald entry per record, each with its length in
	// front (BeginRecord, EndRecord).
	EncodingNative
)

// fileMode is the mode of new log files: they hold client addresses.
const fileMode = 0o640

// Output is where records go: a file, stderr or journald. Its methods are safe
// for concurrent use.
type Output struct {
	encoding Encoding
	sink     sink
}

type sink interface {
	write(records []byte) error
	reopen() error
	close() error
}

// OpenFile returns an output that appends to the file at path.
func OpenFile(path string, e Encoding) (*Output, error) {
	s := &fileSink{path: path}
	if err := s.reopen(); err != nil {
		return nil, err
	}
	return &Output{encoding: e, sink: s}, nil
}

// To returns an output that writes to w, normally stderr, and leaves it open.
func To(w io.Writer, e Encoding) *Output {
	s := &fileSink{}
	s.mu.w = w
	return &Output{encoding: e, sink: s}
}

// OpenNative returns an output that sends to the journald socket at path, normally SocketPath.
func OpenNative(path string) (*Output, error) {
	s, err := openNative(path)
	if err != nil {
		return nil, err
	}
	return &Output{encoding: EncodingNative, sink: s}, nil
}

// Encoding returns the form in which Write expects its records.
func (o *Output) Encoding() Encoding { return o.encoding }

// Write writes whole records in the output's encoding. It may block as long as the file
// or the reader of a pipe does, so it is never called on the request path.
func (o *Output) Write(records []byte) error { return o.sink.write(records) }

// Reopen opens a file by its name again, after it was rotated; the old one stays in
// use when that fails. Other outputs have nothing to do.
func (o *Output) Reopen() error { return o.sink.reopen() }

// Close closes the file or socket.
func (o *Output) Close() error { return o.sink.close() }

// fileSink appends to a file, or to a writer that it doesn't own.
type fileSink struct {
	path string // empty for a writer
	mu   struct {
		sync.Mutex
		w io.Writer
	}
}

func (s *fileSink) write(records []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.mu.w.Write(records)
	return err
}

func (s *fileSink) reopen() error {
	if s.path == "" {
		return nil
	}
	file, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	s.mu.Lock()
	old, _ := s.mu.w.(io.Closer)
	s.mu.w = file
	s.mu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

func (s *fileSink) close() error {
	if s.path == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file, _ := s.mu.w.(io.Closer)
	s.mu.w = closedFile{}
	if file == nil {
		return nil
	}
	return file.Close()
}

type closedFile struct{}

var errClosed = errors.New("log file is closed")

func (closedFile) Write([]byte) (int, error) { return 0, errClosed }
