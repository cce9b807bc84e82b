package main

import (
	"fmt"
	"slices"
	"strings"
)

// scenario is one kind of traffic. Each of its connection counts is measured
// as a case of its own.
type scenario struct {
	name  string
	about string
	path  string
	conns []int
	settings
	browser bool     // request heads of browser size
	closes  bool     // each request comes over a connection of its own
	idle    bool     // memory of idle connections instead of CPU of requests
	proxies []string // those that take part; nil is all
	streams int      // requests at once on each connection; 0: one, by HTTP/1.1
	plain   bool     // Sentinel runs once more beside itself, as scenario 1k has it
}

// settings are what a scenario asks of a proxy's configuration.
type settings struct {
	Log          bool // write an access log
	LargeContent bool // buffers sized for responses of 1 MiB
	TLS          bool // over TLS 1.3, TLS_AES_128_GCM_SHA256, X25519, a certificate of ECDSA on P-256
	FullShakes   bool // no session is resumed
	HTTP2        bool // clients speak HTTP/2: by agreement over TLS, without asking elsewhere
	TargetCount  int  // so many targets, checked and by least connections; 0: the origin alone
}

// scenarios is everything the harness can measure, in the order it does.
func scenarios() []scenario {
	return []scenario{
		{name: "1k", about: "GET, 1 KiB response, keep-alive, metrics on, access log off", path: "/1k", conns: []int{1, 64, 1000}},
		{name: "1k-log", about: "as 1k, access log on", path: "/1k", conns: []int{64}, settings: settings{Log: true}},
		{name: "1m", about: "GET, 1 MiB response, buffers and splice tuned for it", path: "/1m", conns: []int{16}, settings: settings{LargeContent: true}},
		{name: "browser", about: "as 1k, request head of 25 fields and 1.5 KiB", path: "/1k", conns: []int{64}, browser: true},
		{
			name: "1k-targets", about: "as 1k, over 100 targets with health checks, circuit breakers and least connections", path: "/1k", conns: []int{64},
			settings: settings{TargetCount: 100}, proxies: []string{reference, sentinel}, plain: true,
		},
		{name: "1k-tls", about: "as 1k, over TLS 1.3 with TLS_AES_128_GCM_SHA256, X25519, ECDSA P-256", path: "/1k", conns: []int{64}, settings: settings{TLS: true}},
		{
			name: "handshake", about: "as 1k-tls, a full handshake for each request", path: "/1k", conns: []int{16}, closes: true,
			settings: settings{TLS: true, FullShakes: true}, proxies: []string{reference, "nginx", sentinel},
		},
		{name: "h2c-16x32", about: "as 1k, over HTTP/2 without TLS, 16 connections with 32 streams each", path: "/1k", conns: []int{16}, streams: 32, settings: settings{HTTP2: true}},
		{name: "h2c-4x8", about: "the same, 4 connections with 8 streams each", path: "/1k", conns: []int{4}, streams: 8, settings: settings{HTTP2: true}},
		{name: "h2-16x32", about: "as h2c-16x32, over TLS as in 1k-tls", path: "/1k", conns: []int{16}, streams: 32, settings: settings{HTTP2: true, TLS: true}},
		{name: "h2-4x8", about: "as h2c-4x8, over TLS as in 1k-tls", path: "/1k", conns: []int{4}, streams: 8, settings: settings{HTTP2: true, TLS: true}},
		{name: "idle-tls", about: "as idle, over TLS as in 1k-tls", path: "/1k", conns: []int{5000}, settings: settings{TLS: true}, idle: true},
		{name: "idle", about: "resident memory of idle keep-alive connections that did one request each", path: "/1k", conns: []int{10000}, idle: true},
	}
}

// chooseScenarios returns those named in list, separated by commas.
func chooseScenarios(list string) ([]scenario, error) {
	var chosen []scenario
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, s := range scenarios() {
			if s.name == name {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no scenario is called %q", name)
		}
	}
	return chosen, nil
}

// peersOf returns those of chosen that take part in s. Sentinel as scenario 1k has it stands
// beside Sentinel, so that both see the same machine.
func (s scenario) peersOf(chosen []peer) []peer {
	var part []peer
	for _, p := range chosen {
		if s.proxies != nil && !slices.Contains(s.proxies, p.name) {
			continue
		}
		part = append(part, p)
		if s.plain && p.name == sentinel {
			p.name, p.offset, p.plain = sentinelPlain, p.offset+1, true
			part = append(part, p)
		}
	}
	return part
}

// loadScript is the Lua text that shapes and reports the load of s.
func (s scenario) loadScript() string {
	script := mustTemplate("report.lua")
	if s.browser {
		script += mustTemplate("browser.lua")
	}
	if s.closes {
		script += "wrk.headers[\"Connection\"] = \"close\"\n"
	}
	return script
}
