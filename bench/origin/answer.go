package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// answer is one complete response, ready to be written.
type answer struct {
	bytes    []byte // head and content
	headLen  int
	dateFrom int // where the value of the Date field starts
}

// answers holds every response the origin gives.
type answers struct {
	oneK, oneM, chunked, notFound answer
}

func newAnswers(now time.Time) *answers {
	a := &answers{
		oneK:     newAnswer("200 OK", "Content-Length: 1024", strings.Repeat("x", 1<<10)),
		oneM:     newAnswer("200 OK", "Content-Length: 1048576", strings.Repeat("x", 1<<20)),
		chunked:  newAnswer("200 OK", "Transfer-Encoding: chunked", chunkedContent()),
		notFound: newAnswer("404 Not Found", "Content-Length: 10", "not found\n"),
	}
	a.setDate(now)
	return a
}

// chunkedContent is 1 KiB in two chunks of 512 bytes.
func chunkedContent() string {
	chunk := "200\r\n" + strings.Repeat("x", 512) + "\r\n"
	return chunk + chunk + "0\r\n\r\n"
}

func newAnswer(status, framing, content string) answer {
	head := fmt.Sprintf("HTTP/1.1 %s\r\nServer: origin\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\n%s\r\nCache-Control: no-store\r\n\r\n",
		status, http.TimeFormat, framing)
	return answer{
		bytes:    []byte(head + content),
		headLen:  len(head),
		dateFrom: strings.Index(head, "Date: ") + len("Date: "),
	}
}

// setDate writes now into the Date field of every answer. Its length never
// changes, so an answer that is partly written stays well-formed.
func (a *answers) setDate(now time.Time) {
	date := now.UTC().Format(http.TimeFormat)
	for _, x := range []*answer{&a.oneK, &a.oneM, &a.chunked, &a.notFound} {
		copy(x.bytes[x.dateFrom:], date)
	}
}

// forRequest returns what to write for req.
func (a *answers) forRequest(req request) []byte {
	x := &a.notFound
	switch {
	case bytes.Equal(req.path, pathOneK):
		x = &a.oneK
	case bytes.Equal(req.path, pathOneM):
		x = &a.oneM
	case bytes.Equal(req.path, pathChunked):
		x = &a.chunked
	}
	if req.headOnly {
		return x.bytes[:x.headLen]
	}
	return x.bytes
}

var (
	pathOneK    = []byte("/1k")
	pathOneM    = []byte("/1m")
	pathChunked = []byte("/chunked")
)
