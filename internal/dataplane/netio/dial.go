package netio

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Dialer opens a connection; *net.Dialer is one, tests have others.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects to address ("host:port") within timeout. It returns ErrTimeout when that
// has passed, else the dialer's error.
func Dial(clock *Clock, d Dialer, address string, timeout time.Duration) (*Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		// The socket's deadline may strike before the context's timer has.
		if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, ErrTimeout
		}
		return nil, err
	}
	return NewConn(clock, nc), nil
}
