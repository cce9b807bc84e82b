package h1

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"

	"sentinel/internal/dataplane/message"
)

var testLimits = limits{headBytesMax: 8 << 10, fieldsMax: 100, targetBytesMax: 8 << 10}

// FuzzParseRequest holds the parser against that of net/http: what ours accepts theirs
// accepts, with the same method, host and framing. Ours may refuse more.
func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /x?y HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\nA: b\r\n\r\nabc",
		"PUT http://a/ HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\nConnection: keep-alive, x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1]:1\r\nExpect: 100-continue\r\nUpgrade: h\r\nConnection: upgrade\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h message.Head
		done, err := parseRequest(b, &h, &testLimits)
		if err != nil || !done {
			return
		}
		checkOffsets(t, &h, b)
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b[:h.End])))
		if err != nil {
			if lenient(b[:h.End]) {
				return
			}
			t.Fatalf("we accept %q, net/http says %v", b[:h.End], err)
		}
		length := h.ContentLength
		if h.Framing == message.NoContent {
			length = 0
		}
		if theirs.Method != string(h.Bytes(h.MethodAt)) || theirs.ContentLength != length {
			t.Errorf("%q: %s with %d bytes, net/http: %s with %d", b[:h.End], h.Bytes(h.MethodAt), length, theirs.Method, theirs.ContentLength)
		}
		if h.Minor == 1 && theirs.Host != string(h.Bytes(h.Authority)) && !bytes.EqualFold([]byte(theirs.Host), h.Bytes(h.Authority)) {
			t.Errorf("%q: host %q, net/http: %q", b[:h.End], h.Bytes(h.Authority), theirs.Host)
		}
	})
}

// lenient reports whether a head holds what net/http refuses for reasons of its own: it
// parses the target as a URL, which the canonicaliser does later here.
func lenient(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	return bytes.ContainsAny(line, "%[]:\\\"<>^`{|}@*") || !bytes.Contains(line, []byte(" /"))
}

func checkOffsets(t *testing.T, h *message.Head, b []byte) {
	t.Helper()
	if h.End > len(b) || !bytes.HasSuffix(b[:h.End], []byte("\r\n\r\n")) {
		t.Fatalf("head of %q ends at %d", b, h.End)
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Name.End <= f.Name.Start || f.Value.End < f.Value.Start || int(f.LineEnd) > h.End {
			t.Fatalf("field %d of %q: %+v", i, b, f)
		}
	}
}

// FuzzParseResponse looks for panics and offsets out of range.
func FuzzParseResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.0 304\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h message.Head
		if done, err := parseResponse(b, &h, &testLimits); err == nil && done {
			checkOffsets(t, &h, append(b[:h.End:h.End], b[h.End:]...))
		}
	})
}

// FuzzChunks feeds a chunked message in two pieces: where it is cut must not matter.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"), 4)
	f.Add([]byte("1;x=y\r\na\r\n0\r\nA: b\r\n\r\nGET"), 2)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 0 || cut > len(b) {
			return
		}
		whole, ok := decodeAll(b)
		split, ok2 := decodeAll(b[:cut], b[cut:])
		if ok != ok2 || ok && !bytes.Equal(whole, split) {
			t.Errorf("%q cut at %d: %q %v, whole: %q %v", b, cut, split, ok2, whole, ok)
		}
	})
}

func decodeAll(pieces ...[]byte) (content []byte, ok bool) {
	var d chunkDecoder
	for _, p := range pieces {
		dst := make([]byte, len(p))
		n, _, good := d.decode(dst, p)
		if !good {
			return nil, false
		}
		content = append(content, dst[:n]...)
	}
	return content, true
}

// A head that comes byte by byte is the same as one that comes at once.
func TestParseRequestInPieces(t *testing.T) {
	const raw = "POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX: y\r\n\r\n"
	var h message.Head
	for n := range len(raw) {
		if done, err := parseRequest([]byte(raw[:n]), &h, &testLimits); done || err != nil {
			t.Fatalf("%q: done %v, %v", raw[:n], done, err)
		}
	}
	if done, err := parseRequest([]byte(raw), &h, &testLimits); !done || err != nil || h.ContentLength != 3 || h.End != len(raw) {
		t.Errorf("whole: done %v, %v, %+v", done, err, h)
	}
}

func TestParseRequestAllocatesNothing(t *testing.T) {
	raw := []byte("GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n")
	var h message.Head
	if n := testing.AllocsPerRun(1000, func() { parseRequest(raw, &h, &testLimits) }); n != 0 {
		t.Errorf("parseRequest allocates %v times", n)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	raw := []byte("GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n")
	var h message.Head
	b.ReportAllocs()
	for b.Loop() {
		parseRequest(raw, &h, &testLimits)
	}
}
