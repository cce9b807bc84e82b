// Package behaviour holds the tests that observe, by real connections, what each key of the
// configuration does.
package behaviour

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"sentinel/internal/testkit/origin"
	testproxy "sentinel/internal/testkit/proxy"
	"sentinel/internal/testkit/rawclient"
)

// proxy is a running proxy and the address of its listener "l".
type proxy struct {
	*testproxy.Proxy
	t    *testing.T
	addr string
}

// start runs a proxy in this process until the test ends. The listener is what its parts
// say; $DIR and $FILES stand for what is known only then.
func start(t *testing.T, listener, rest string) *proxy {
	t.Helper()
	p := testproxy.Start(t, `listeners { listener "l" { address "127.0.0.1:0"; `+listener+` } }
`+rest)
	return &proxy{p, t, p.Addr("l")}
}

// do sends a request with the fields, each "Name: value", and returns the response.
func (p *proxy) do(method, target string, fields ...string) rawclient.Response {
	p.t.Helper()
	raw := method + " " + target + " HTTP/1.1\r\n"
	if !strings.HasPrefix(strings.Join(append([]string{""}, fields...), "\n"), "\nHost:") {
		raw += "Host: example.com\r\n"
	}
	for _, f := range fields {
		raw += f + "\r\n"
	}
	return p.raw(method, raw+"\r\n")
}

func (p *proxy) raw(method, raw string) rawclient.Response {
	p.t.Helper()
	r, err := rawclient.Do(p.addr, method, raw)
	if err != nil {
		p.t.Fatalf("%q: %v", raw, err)
	}
	return r
}

// get returns what a URL answers.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// upstream writes an upstream for an origin.
func upstream(name string, o *origin.Origin, more string) string {
	return fmt.Sprintf("upstream %q { target %q; %s }\n", name, o.Addr(), more)
}

// forward is a configuration that sends everything to o.
func forward(o *origin.Origin, route, up string) string {
	return "routes { route \"r\" { upstream \"u\"; " + route + " } }\nupstreams { " + upstream("u", o, up) + "}\n"
}

func (p *proxy) dial() *rawclient.Client {
	p.t.Helper()
	c, err := rawclient.Dial(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	return c
}

// named is an origin that answers its name.
func named(t *testing.T, name string) *origin.Origin {
	return origin.Start(t, origin.Answer(func(r origin.Request) string { return origin.Response(r, 200, name) }))
}
