// Package wire reads HTTP/1.1 messages for tests and keeps every byte of them.
// It is lenient where a test wants to see what a peer sent (field names and
// values come as received, repeats included) and strict where leniency would
// hide a defect: lines end in CRLF, chunked content and content of a stated
// length must be complete.
package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Field is one field line as received, the value without surrounding space.
type Field struct {
	Name, Value string
}

// Fields are field lines in the order received.
type Fields []Field

// Get returns the value of the first field called name, in any case, or "".
func (f Fields) Get(name string) string {
	if values := f.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Has reports whether a field is called name, in any case.
func (f Fields) Has(name string) bool { return len(f.Values(name)) > 0 }

// Values returns the values of all fields called name, in any case.
func (f Fields) Values(name string) []string {
	var values []string
	for _, field := range f {
		if strings.EqualFold(field.Name, name) {
			values = append(values, field.Value)
		}
	}
	return values
}

// Head is a start line with its fields.
type Head struct {
	StartLine string
	Fields    Fields
	Raw       []byte // everything up to and including the empty line
}

// headBytesMax bounds a head, so that a peer gone wrong fails a test instead of
// filling memory.
const headBytesMax = 1 << 20

// ReadHead reads up to and including the empty line that ends a head. With an
// error it returns what it read; io.EOF means that not one byte came.
func ReadHead(r *bufio.Reader) (Head, error) {
	var h Head
	for {
		line, err := readLine(r, &h.Raw)
		if err != nil {
			return h, err
		}
		switch {
		case h.StartLine == "":
			if line == "" {
				return h, errors.New("empty start line")
			}
			h.StartLine = line
		case line == "":
			return h, nil
		default:
			field, err := parseField(line)
			if err != nil {
				return h, err
			}
			h.Fields = append(h.Fields, field)
		}
		if len(h.Raw) > headBytesMax {
			return h, fmt.Errorf("head longer than %d bytes", headBytesMax)
		}
	}
}

// readLine reads one line, appends it to raw and returns it without its CRLF.
func readLine(r *bufio.Reader, raw *[]byte) (string, error) {
	before := len(*raw)
	b, err := r.ReadBytes('\n')
	*raw = append(*raw, b...)
	if err == io.EOF && before+len(b) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", err
	}
	line, ok := bytes.CutSuffix(b, []byte("\r\n"))
	if !ok {
		return "", fmt.Errorf("line %q does not end in CRLF", b)
	}
	return string(line), nil
}

func parseField(line string) (Field, error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" {
		return Field{}, fmt.Errorf("field line %q has no name", line)
	}
	return Field{Name: name, Value: strings.Trim(value, " \t")}, nil
}

// Content is what follows a head.
type Content struct {
	Data     []byte // decoded
	Raw      []byte // as received, chunk lines and trailer section included
	Chunks   []int  // sizes of the chunks, without the last
	Trailers Fields
}

// Framing says how far the content of a message reaches (RFC 9112, section 6).
type Framing struct {
	Chunked    bool
	Length     int64 // when not Chunked; -1 when no length is stated
	UntilClose bool  // of a response without length
}

// RequestFraming reads the framing from the fields of a request.
func RequestFraming(f Fields) (Framing, error) {
	framing, err := statedFraming(f)
	if framing.Length < 0 {
		framing.Length = 0
	}
	return framing, err
}

// ResponseFraming reads the framing from the fields of a response with the
// given status to a request with the given method.
func ResponseFraming(f Fields, status int, method string) (Framing, error) {
	if method == "HEAD" || status < 200 || status == 204 || status == 304 {
		return Framing{}, nil
	}
	framing, err := statedFraming(f)
	framing.UntilClose = err == nil && !framing.Chunked && framing.Length < 0
	return framing, err
}

func statedFraming(f Fields) (Framing, error) {
	codings, lengths := f.Values("Transfer-Encoding"), f.Values("Content-Length")
	switch {
	case len(codings) > 0 && len(lengths) > 0:
		return Framing{}, errors.New("both Transfer-Encoding and Content-Length")
	case len(codings) == 1 && strings.EqualFold(codings[0], "chunked"):
		return Framing{Chunked: true}, nil
	case len(codings) > 0:
		return Framing{}, fmt.Errorf("transfer codings %q", codings)
	case len(lengths) == 0:
		return Framing{Length: -1}, nil
	case len(lengths) > 1:
		return Framing{}, fmt.Errorf("repeated Content-Length %q", lengths)
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil {
		return Framing{}, fmt.Errorf("Content-Length %q is not a number", lengths[0])
	}
	return Framing{Length: int64(n)}, nil
}

// ReadContent reads content framed by f. With an error it returns what it read.
func ReadContent(r *bufio.Reader, f Framing) (Content, error) {
	var c Content
	switch {
	case f.Chunked:
		return readChunked(r)
	case f.UntilClose:
		var err error
		c.Data, err = io.ReadAll(r)
		c.Raw = c.Data
		return c, err
	}
	var b bytes.Buffer
	n, err := io.CopyN(&b, r, f.Length)
	c.Data, c.Raw = b.Bytes(), b.Bytes()
	if err == io.EOF {
		err = fmt.Errorf("%d of %d bytes of content: %w", n, f.Length, io.ErrUnexpectedEOF)
	}
	return c, err
}

// readChunked reads chunked content with its trailer section (RFC 9112, section 7.1).
func readChunked(r *bufio.Reader) (Content, error) {
	var c Content
	for {
		line, err := readLine(r, &c.Raw)
		if err != nil {
			return c, unexpected(err)
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 31)
		if err != nil {
			return c, fmt.Errorf("chunk size %q: %w", line, err)
		}
		if size == 0 {
			return c, readTrailers(r, &c)
		}
		if err := readChunk(r, &c, int(size)); err != nil {
			return c, err
		}
	}
}

func readChunk(r *bufio.Reader, c *Content, size int) error {
	var b bytes.Buffer
	_, err := io.CopyN(&b, r, int64(size))
	c.Raw = append(c.Raw, b.Bytes()...)
	c.Data = append(c.Data, b.Bytes()...)
	if err != nil {
		return unexpected(err)
	}
	c.Chunks = append(c.Chunks, size)
	end, err := readLine(r, &c.Raw)
	if err == nil && end != "" {
		err = fmt.Errorf("chunk of %d bytes is followed by %q", size, end)
	}
	return unexpected(err)
}

func readTrailers(r *bufio.Reader, c *Content) error {
	for {
		line, err := readLine(r, &c.Raw)
		if err != nil || line == "" {
			return unexpected(err)
		}
		field, err := parseField(line)
		if err != nil {
			return err
		}
		c.Trailers = append(c.Trailers, field)
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Reset closes conn so that the peer receives a reset instead of an orderly
// end, where the connection can do that.
func Reset(conn io.Closer) error {
	if c, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		if err := c.SetLinger(0); err != nil {
			return err
		}
	}
	return conn.Close()
}

// CloseWrite ends the sending direction of conn only.
func CloseWrite(conn io.Closer) error {
	c, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("this kind of connection can't be half closed")
	}
	return c.CloseWrite()
}
