package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The health protocol of gRPC: grpc.health.v1.Health, method Check. A message stands on the
// wire behind a byte of flags and four of length ("Length-Prefixed-Message" of the gRPC over
// HTTP/2 protocol).
const (
	grpcPath        = "/grpc.health.v1.Health/Check"
	grpcPrefixBytes = 5
	grpcAnswerMax   = 4 << 10 // bytes; the expected answer has 7
)

// askGRPC calls Check over HTTP/2 and judges its answer.
func (a *asker) askGRPC(ctx context.Context, conn net.Conn) *failure {
	start := time.Now()
	cc, err := newHTTP2(ctx, conn)
	if err != nil {
		return http2Failed(ctx, err)
	}
	defer cc.Close()
	req, err := a.grpcRequest(ctx)
	if err != nil {
		return &failure{layer: LayerAnswer, cause: cannotBuild}
	}
	resp, err := cc.RoundTrip(req)
	if err != nil {
		return http2Failed(ctx, err)
	}
	defer resp.Body.Close()
	a.t.FirstByte = a.since(start)
	a.t.Status = resp.StatusCode
	if resp.StatusCode != http.StatusOK {
		a.t.Expected = strconv.Itoa(http.StatusOK)
		return &failure{layer: LayerAnswer, cause: fmt.Sprintf("answered %d, expected 200", resp.StatusCode)}
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		return &failure{layer: LayerAnswer, cause: "answer is not gRPC"}
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, grpcAnswerMax+1)) // to its end: trailers follow
	if err != nil {
		return failed(LayerBody, stoppedOr(ctx, err))
	}
	if len(b) > grpcAnswerMax {
		return &failure{layer: LayerBody, cause: "gRPC answer is too long"}
	}
	return a.judgeGRPC(resp, b)
}

// newHTTP2 starts HTTP/2 on a connection that is open, with prior knowledge
// (RFC 9113 section 3.3) where it isn't TLS.
func newHTTP2(ctx context.Context, conn net.Conn) (*http.ClientConn, error) {
	t := &http.Transport{Protocols: new(http.Protocols), MaxResponseHeaderBytes: headBytesMax}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	given := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	t.DialContext, t.DialTLSContext = given, given
	scheme := "http"
	if _, secure := conn.(interface{ HandshakeContext(context.Context) error }); secure {
		scheme = "https"
	}
	return t.NewClientConn(ctx, scheme, "target:0")
}

func http2Failed(ctx context.Context, err error) *failure {
	f := failed(LayerAnswer, stoppedOr(ctx, err))
	if f.cause == wordsOf(LayerAnswer).other {
		f.cause = "answer is not HTTP/2"
	}
	return f
}

func (a *asker) grpcRequest(ctx context.Context) (*http.Request, error) {
	c := *a.check
	c.Method, c.Path = http.MethodPost, grpcPath
	req, err := newRequest(&c, a.authority)
	if err != nil {
		return nil, err
	}
	req.Close = false // means nothing in HTTP/2
	req.URL.Opaque, req.URL.Path = "", grpcPath
	if a.check.TLS != nil {
		req.URL.Scheme = "https"
	}
	body := appendCheckRequest(nil, c.Service)
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	req.Header.Set("Grpc-Timeout", strconv.FormatInt(max(c.Timeout.Milliseconds(), 1), 10)+"m")
	return req.WithContext(ctx), nil
}

// judgeGRPC takes the call's status, which stands in the trailers or, of an answer without
// content, in the head, and then the message.
func (a *asker) judgeGRPC(resp *http.Response, content []byte) *failure {
	text := orElse(resp.Trailer.Get("Grpc-Status"), resp.Header.Get("Grpc-Status"))
	code, err := strconv.Atoi(text)
	if err != nil || code < 0 {
		return &failure{layer: LayerAnswer, cause: "gRPC answer has no status"}
	}
	if code != 0 {
		a.t.GRPC = grpcCode(code)
		return &failure{layer: LayerAnswer, cause: "gRPC code " + a.t.GRPC}
	}
	status, err := parseCheckResponse(content)
	if err != nil {
		return &failure{layer: LayerBody, cause: "gRPC answer is malformed"}
	}
	a.t.GRPC = servingStatus(status)
	if status != serving {
		return &failure{layer: LayerAnswer, cause: "gRPC status " + a.t.GRPC}
	}
	return nil
}

// serving is the one status of HealthCheckResponse.ServingStatus that is good.
const serving = 1

func servingStatus(s uint64) string {
	names := [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}
	if s < uint64(len(names)) {
		return names[s]
	}
	return "of an unknown number"
}

// grpcCode names a status code of gRPC (google.rpc.Code).
func grpcCode(c int) string {
	names := [...]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
		"UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	if c < len(names) {
		return names[c]
	}
	return "of an unknown number"
}

// Protocol Buffers' wire types, the low three bits of a field's tag.
const (
	wireVarint = 0
	wireI64    = 1
	wireBytes  = 2
	wireI32    = 5
)

// appendCheckRequest appends HealthCheckRequest{service = 1} with its prefix.
func appendCheckRequest(dst []byte, service string) []byte {
	var message []byte
	if service != "" {
		message = append(message, 1<<3|wireBytes)
		message = binary.AppendUvarint(message, uint64(len(service)))
		message = append(message, service...)
	}
	dst = append(dst, 0) // not compressed
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(message)))
	return append(dst, message...)
}

var errMalformed = errors.New("malformed message")

// parseCheckResponse returns the status of HealthCheckResponse{status = 1}: 0 when the
// field is absent.
func parseCheckResponse(b []byte) (status uint64, err error) {
	if len(b) < grpcPrefixBytes || b[0] != 0 || uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(b)-grpcPrefixBytes) {
		return 0, errMalformed
	}
	for b = b[grpcPrefixBytes:]; len(b) > 0; {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return 0, errMalformed
		}
		b = b[n:]
		value, size := fieldOf(tag&7, b)
		if size < 0 || size > len(b) {
			return 0, errMalformed
		}
		if tag == 1<<3|wireVarint {
			status = value
		}
		b = b[size:]
	}
	return status, nil
}

// fieldOf returns the value, if it is a number in a varint, and the size of the field that
// b begins with; size is -1 for one that is cut off or of an unknown type.
func fieldOf(wire uint64, b []byte) (value uint64, size int) {
	switch wire {
	case wireI64:
		return 0, 8
	case wireI32:
		return 0, 4
	}
	value, n := binary.Uvarint(b)
	switch {
	case n <= 0 || wire != wireVarint && wire != wireBytes:
		return 0, -1
	case wire == wireBytes && value > uint64(len(b)-n):
		return 0, -1
	case wire == wireBytes:
		return 0, n + int(value)
	}
	return value, n
}
