package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"sentinel/internal/observe/event"
)

// ErrNotRunning is wrapped by errors of a Client that finds nobody at its socket.
var ErrNotRunning = errors.New("sentinel isn't running")

// answerBytesMax bounds an answer: 10,000 routes take about 3 MiB.
const answerBytesMax = 64 << 20

// Client asks a running proxy.
type Client struct {
	base    string // of addresses: "http://sentinel"
	what    string // that is asked, in words: "admin socket"
	at      string // its path or URL
	timeout time.Duration
	http    http.Client
	broken  error // why nobody can be asked
}

// FailingClient returns a client each of whose calls returns err.
func FailingClient(err error) *Client { return &Client{broken: err} }

// NewClient returns a client of the socket at path. timeout bounds one call, but of Follow
// only the time until it begins.
func NewClient(path string, timeout time.Duration) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true, ResponseHeaderTimeout: timeout}
	return &Client{base: "http://sentinel", what: "admin socket", at: path, timeout: timeout, http: http.Client{Transport: transport}}
}

// Status asks for /admin/status.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/admin/status", nil, &s)
}

// Version asks for /admin/version.
func (c *Client) Version(ctx context.Context) (v Version, err error) {
	return v, c.call(ctx, http.MethodGet, "/admin/version", nil, &v)
}

// Config asks for the effective configuration.
func (c *Client) Config(ctx context.Context) (cfg Config, err error) {
	return cfg, c.call(ctx, http.MethodGet, "/admin/config", nil, &cfg)
}

// Upstreams asks for all upstreams, or for the one of that name; the error of an unknown name
// is a *Problem.
func (c *Client) Upstreams(ctx context.Context, name string) (list []UpstreamStatus, err error) {
	path := "/admin/upstreams"
	if name != "" {
		path += "?name=" + url.QueryEscape(name)
	}
	return list, c.call(ctx, http.MethodGet, path, nil, &list)
}

// Drain asks for a drain; the error of unknown names is a *Problem.
func (c *Client) Drain(ctx context.Context, q DrainRequest) (r DrainResult, err error) {
	return r, c.call(ctx, http.MethodPost, "/admin/drain", q, &r)
}

// Top asks for one of TopLists: the n with most requests in the last while.
func (c *Client) Top(ctx context.Context, list string, window time.Duration, n int) (t Top, err error) {
	path := fmt.Sprintf("/admin/top?list=%s&seconds=%d&n=%d", url.QueryEscape(list), int(window.Seconds()), n)
	return t, c.call(ctx, http.MethodGet, path, nil, &t)
}

// Events asks for the events after since that are kept.
func (c *Client) Events(ctx context.Context, since uint64) (list []event.Event, err error) {
	return list, c.call(ctx, http.MethodGet, "/admin/events?since="+strconv.FormatUint(since, 10), nil, &list)
}

// Follow calls each with every event after since as they come, until each returns an error,
// which is then returned, or ctx ends. When the proxy stops meanwhile the error is an
// ErrNotRunning.
func (c *Client) Follow(ctx context.Context, since uint64, each func(event.Event) error) error {
	resp, err := c.ask(ctx, http.MethodGet, "/admin/events?follow=1&since="+strconv.FormatUint(since, 10), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	for {
		var e event.Event
		if err := lines.Decode(&e); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w any more: the events at the %s %s have ended", ErrNotRunning, c.what, c.at)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

// call asks and decodes the answer.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerBytesMax)).Decode(into); err != nil {
		return fmt.Errorf("%s %s: %s: %w", c.what, c.at, path, err)
	}
	return nil
}

// ask returns the answer when it is one of success, or of a reload that failed.
func (c *Client) ask(ctx context.Context, method, path string, body any) (*http.Response, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	if body == nil {
		text = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnprocessableEntity {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.problem(resp, method, path)
}

// problem returns the problem that an answer holds, or one about the answer.
func (c *Client) problem(resp *http.Response, method, path string) error {
	p := &Problem{Status: resp.StatusCode}
	if json.NewDecoder(io.LimitReader(resp.Body, answerBytesMax)).Decode(p) == nil && p.Message != "" {
		return p
	}
	hint := ""
	if resp.StatusCode == http.StatusNotFound {
		hint = ": the sentinel that runs is of another version"
	}
	return fmt.Errorf("%s %s: %s %s answered %s%s", c.what, c.at, method, path, resp.Status, hint)
}

// explain says what an error of the connection means to the person who asks.
func (c *Client) explain(err error) error {
	var dial *net.OpError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no %s at %s", ErrNotRunning, c.what, c.at)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers at the %s %s", ErrNotRunning, c.what, c.at)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s %s: permission denied: run as the user that runs sentinel, or as root, or have an admin give you a role (admin { role ... } in system)", c.what, c.at)
	case errors.As(err, &dial) && dial.Op == "remote error":
		return fmt.Errorf("%s %s: the server doesn't take the client certificate (--admin-cert): %w", c.what, c.at, err)
	}
	return fmt.Errorf("%s %s: %w", c.what, c.at, err)
}
