// Package grpcweb translates the content of gRPC-Web, which browsers speak, and of gRPC
// (https://github.com/grpc/grpc, PROTOCOL-WEB): trailer fields become a last frame of the
// content, and the form named text is base64.
package grpcweb

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// Type is the form of a request and of its response.
type Type uint8

// The forms.
const (
	None   Type = iota // no gRPC-Web
	Binary             // application/grpc-web
	Text               // application/grpc-web-text: base64
)

var (
	binaryType = []byte("application/grpc-web")
	textSuffix = []byte("-text")
)

// Parse returns the form that a content type names, and its format with the plus sign
// ("+proto"), which may be empty.
func Parse(contentType []byte) (t Type, format []byte) {
	rest, ok := bytes.CutPrefix(contentType, binaryType)
	if !ok {
		return None, nil
	}
	t = Binary
	if r, text := bytes.CutPrefix(rest, textSuffix); text {
		t, rest = Text, r
	}
	if i := bytes.IndexByte(rest, ';'); i >= 0 {
		rest = rest[:i]
	}
	if rest = bytes.TrimRight(rest, " \t"); len(rest) > 0 && rest[0] != '+' {
		return None, nil
	}
	return t, rest
}

// AppendType appends the content type of the form with a format.
func (t Type) AppendType(dst, format []byte) []byte {
	dst = append(dst, binaryType...)
	if t == Text {
		dst = append(dst, textSuffix...)
	}
	return append(dst, format...)
}

// AppendContent appends content in the form.
func (t Type) AppendContent(dst, content []byte) []byte {
	if t == Text {
		return base64.StdEncoding.AppendEncode(dst, content)
	}
	return append(dst, content...)
}

// trailerFlag marks the frame that holds trailer fields.
const trailerFlag = 0x80

// AppendTrailers appends the frame of trailer fields, given as complete field lines, as plain
// bytes: AppendContent brings them into the form.
func AppendTrailers(dst, lines []byte) []byte {
	dst = append(dst, trailerFlag)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(lines)))
	for line := range bytes.Lines(lines) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		for _, c := range name {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
		}
		dst = append(append(dst, ':'), value...)
	}
	return dst
}

// ErrText is content in the form of text that is no base64.
var ErrText = errors.New("no base64")

// Decoder reads base64 as it comes in pieces. Padding may stand wherever a sender has ended a
// piece. The zero Decoder is ready.
type Decoder struct {
	quantum [4]byte
	n       int // characters in quantum
}

// Append appends what text stands for, as far as it is known yet.
func (d *Decoder) Append(dst, text []byte) ([]byte, error) {
	for _, c := range text {
		d.quantum[d.n] = c
		if d.n++; d.n < len(d.quantum) {
			continue
		}
		d.n = 0
		var err error
		if dst, err = base64.StdEncoding.Strict().AppendDecode(dst, d.quantum[:]); err != nil {
			return dst, ErrText
		}
	}
	return dst, nil
}

// End reports an error when the text ends within four characters.
func (d *Decoder) End() error {
	if d.n > 0 {
		return ErrText
	}
	return nil
}
