package main

import "bytes"

// headBytesMax bounds a request head; a longer one closes the connection.
const headBytesMax = 32 << 10

// request is what the origin reads from a request head.
type request struct {
	path          []byte // without the query; points into the head
	headOnly      bool   // HEAD
	chunked       bool
	contentLength int64
	closes        bool // the client asked for Connection: close
}

// cutHead splits b after the first complete head. It reports false when b
// holds none yet.
func cutHead(b []byte) (head, rest []byte, ok bool) {
	i := bytes.Index(b, crlfcrlf)
	if i < 0 {
		return nil, b, false
	}
	return b[:i+len(crlf)], b[i+len(crlfcrlf):], true
}

// parseHead reads a head whose lines all end in CRLF. The origin stands behind
// proxies that have already checked the message: it looks at the fields it
// needs and reports false only for what it cannot answer.
func parseHead(head []byte) (request, bool) {
	line, fields, _ := bytes.Cut(head, crlf)
	method, rest, ok := bytes.Cut(line, space)
	if !ok {
		return request{}, false
	}
	target, proto, ok := bytes.Cut(rest, space)
	if !ok || len(proto) != len("HTTP/1.1") {
		return request{}, false
	}
	req := request{headOnly: len(method) == 4 && method[0] == 'H', closes: proto[7] == '0'}
	req.path, _, _ = bytes.Cut(target, query)
	for len(fields) > 0 {
		end := bytes.IndexByte(fields, '\n')
		req.field(fields[:max(end-1, 0)])
		fields = fields[end+1:]
	}
	return req, req.contentLength >= 0
}

// field looks at one field line. The first letter decides for most of them.
func (req *request) field(line []byte) {
	if len(line) == 0 || line[0]|0x20 != 'c' && line[0]|0x20 != 't' {
		return
	}
	name, value, _ := bytes.Cut(line, colon)
	switch {
	case bytes.EqualFold(name, nameContentLength):
		req.contentLength = parseLength(bytes.TrimSpace(value))
	case bytes.EqualFold(name, nameTransferEncoding):
		req.chunked = true
	case bytes.EqualFold(name, nameConnection):
		req.closes = bytes.EqualFold(bytes.TrimSpace(value), valueClose)
	}
}

// parseLength reads decimal digits; it returns -1 for anything else.
func parseLength(b []byte) int64 {
	if len(b) == 0 || len(b) > 15 {
		return -1
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

var (
	crlf                 = []byte("\r\n")
	crlfcrlf             = []byte("\r\n\r\n")
	space                = []byte(" ")
	query                = []byte("?")
	colon                = []byte(":")
	nameContentLength    = []byte("content-length")
	nameTransferEncoding = []byte("transfer-encoding")
	nameConnection       = []byte("connection")
	valueClose           = []byte("close")
)
