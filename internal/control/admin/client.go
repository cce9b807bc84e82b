package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// ErrNotRunning is wrapped by errors of a Client that finds nobody at its socket.
var ErrNotRunning = errors.New("sentinel isn't running")

// answerBytesMax bounds an answer: 10,000 routes take about 3 MiB.
const answerBytesMax = 64 << 20

// Client asks a running proxy.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client of the socket at path. timeout bounds one call.
func NewClient(path string, timeout time.Duration) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks for /admin/status.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/admin/status", &s)
}

// Version asks for /admin/version.
func (c *Client) Version(ctx context.Context) (v Version, err error) {
	return v, c.call(ctx, http.MethodGet, "/admin/version", &v)
}

// Reload asks for a reload and waits for its outcome, which may be that it failed.
func (c *Client) Reload(ctx context.Context) (o Outcome, err error) {
	return o, c.call(ctx, http.MethodPost, "/admin/reload", &o)
}

func (c *Client) call(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://sentinel"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnprocessableEntity {
		return fmt.Errorf("admin socket %s: %s %s answered %s", c.path, method, path, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerBytesMax)).Decode(into); err != nil {
		return fmt.Errorf("admin socket %s: %s: %w", c.path, path, err)
	}
	return nil
}

// explain says what an error of the connection means to the person who asks.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no admin socket at %s", ErrNotRunning, c.path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers at the admin socket %s", ErrNotRunning, c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("admin socket %s: permission denied: run as the user that runs sentinel, or as root", c.path)
	}
	return fmt.Errorf("admin socket %s: %w", c.path, err)
}
