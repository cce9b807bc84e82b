package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// failure is why a probe failed: the layer and fixed words.
type failure struct {
	layer Layer
	cause string
	own   bool // a reason of this process
}

// errStopped ends the context of a probe that nobody waits for any more.
var errStopped = errors.New("probe stopped")

// words are what an error is called that a layer has no better name for, and what a
// timeout is called there.
type words struct{ other, timedOut string }

func wordsOf(l Layer) words {
	switch l {
	case LayerResolve:
		return words{"name lookup failed", "name lookup timed out"}
	case LayerConnect:
		return words{"connect failed", "connect timed out"}
	case LayerTLS:
		return words{"TLS handshake failed", "TLS handshake timed out"}
	case LayerBody:
		return words{"body could not be read", "body timed out"}
	}
	return words{"answer could not be read", "answer timed out"}
}

// failed names an error of a layer. Nothing of its text is used but names from the fixed
// tables of the standard library.
func failed(l Layer, err error) *failure {
	f := &failure{layer: l, cause: wordsOf(l).other}
	var errno syscall.Errno
	var op *net.OpError
	switch {
	case errors.Is(err, errStopped) || errors.Is(err, context.Canceled):
		f.cause, f.own = "probe stopped", true
	case isTimeout(err):
		f.cause = wordsOf(l).timedOut
	case errors.As(err, &errno):
		f.cause, f.own = errnoCause(errno, f.cause)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe):
		f.cause = closedCause(l)
	case l == LayerTLS:
		f.cause = tlsCause(err, time.Now())
	case l == LayerResolve:
		f.cause = lookupCause(err)
	case errors.As(err, &op) && op.Op == "remote error": // an alert after the handshake
		f.cause = alertCause(op)
	}
	return f
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// errnoCause names an error of the system and reports whether this process is to blame.
func errnoCause(errno syscall.Errno, other string) (cause string, own bool) {
	switch errno {
	case syscall.ECONNREFUSED:
		return "connection refused", false
	case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED:
		return "connection reset", false
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		return "no route to host", false
	case syscall.ENETUNREACH, syscall.ENETDOWN:
		return "network unreachable", false
	case syscall.EACCES, syscall.EPERM:
		return "connect not permitted", false
	case syscall.EMFILE, syscall.ENFILE:
		return "no file descriptor free", true
	case syscall.EADDRNOTAVAIL:
		return "no local port free", true
	case syscall.ENOBUFS, syscall.ENOMEM:
		return "no memory for a socket", true
	}
	return other, false
}

func closedCause(l Layer) string {
	switch l {
	case LayerTLS:
		return "closed in the TLS handshake"
	case LayerBody:
		return "closed in the body"
	}
	return "closed without an answer"
}

func lookupCause(err error) string {
	var d *net.DNSError
	if errors.As(err, &d) && d.IsNotFound {
		return "name not found"
	}
	return wordsOf(LayerResolve).other
}

func tlsCause(err error, now time.Time) string {
	var (
		record    tls.RecordHeaderError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &record):
		return "target does not speak TLS"
	case errors.As(err, &invalid):
		return invalidCause(invalid, now)
	case errors.As(err, &host):
		return "TLS certificate is for another name"
	case errors.As(err, &authority):
		return "TLS certificate is from an unknown authority"
	case errors.As(err, &op) && op.Op == "remote error":
		return alertCause(op)
	}
	return wordsOf(LayerTLS).other
}

func invalidCause(invalid x509.CertificateInvalidError, now time.Time) string {
	if invalid.Reason != x509.Expired || invalid.Cert == nil {
		return "TLS certificate is not valid for a server"
	}
	if now.Before(invalid.Cert.NotBefore) {
		return "TLS certificate not valid before " + invalid.Cert.NotBefore.UTC().Format(time.DateOnly)
	}
	return "TLS certificate expired " + invalid.Cert.NotAfter.UTC().Format(time.DateOnly)
}

// alertCause names an alert that the target sent: crypto/tls takes its text from a table
// of its own, by the alert's number.
func alertCause(op *net.OpError) string {
	return cut("TLS refused: "+strings.TrimPrefix(op.Err.Error(), "tls: "), 80)
}
