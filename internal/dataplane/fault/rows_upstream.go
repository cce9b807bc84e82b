package fault

// upstreamConnectRows holds attempts that failed before the request was sent,
// or while it was.
func upstreamConnectRows() map[Kind]Row {
	return map[Kind]Row{
		UpstreamRefused: {
			Name: "UpstreamRefused", Label: "upstream_refused", Code: "U01", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream refused connection",
			Meaning:  "The target's host answered that nothing listens on that port.",
			Causes:   []string{"the application is down or restarting", "it listens on another port or only on loopback", "a firewall that rejects"},
			Remedy:   "Start the application, or correct the target's address.",
			Commands: []string{cmdHealth, cmdReachable},
		},
		UpstreamConnectTimeout: {
			Name: "UpstreamConnectTimeout", Label: "upstream_connect_timeout", Code: "U02", Side: SideUpstream, Status: 504, Unsent: true, Routed: true,
			Text:     "upstream connect timed out",
			Meaning:  "No connection to the target came about within connect-secs.",
			Causes:   []string{"a firewall that drops", "a host that is down", "an accept queue that is full", "packet loss"},
			Remedy:   "Test the network path from this host to the target.",
			Commands: []string{cmdReachable, "traceroute -n HOST", cmdHealth},
		},
		UpstreamUnreachable: {
			Name: "UpstreamUnreachable", Label: "upstream_unreachable", Code: "U03", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream unreachable",
			Meaning:  "The network says there is no way to the target.",
			Causes:   []string{"a missing route", "a host that is gone from its network", "a local firewall"},
			Remedy:   "Check routing and firewall on this host.",
			Commands: []string{"ip route get HOST", cmdReachable},
		},
		UpstreamNameUnresolved: {
			Name: "UpstreamNameUnresolved", Label: "upstream_name_unresolved", Code: "U04", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream name not resolved",
			Meaning:  "The target's host name has no address at the moment.",
			Causes:   []string{"a name server that is down", "a record that was removed", "a typing mistake in the configuration"},
			Remedy:   "Resolve the name by hand; correct the record or the target.",
			Commands: []string{"dig +short HOST", "cat /etc/resolv.conf"},
		},
		UpstreamReset: {
			Name: "UpstreamReset", Label: "upstream_reset", Code: "U07", Side: SideUpstream, Status: 502, Routed: true,
			Text:     "upstream reset before the response",
			Meaning:  "The target reset the connection after it may have seen the request, and before any byte of a response.",
			Causes:   []string{"the application crashed on this request", "it was restarted without draining", "a middlebox that drops idle connections"},
			Remedy:   "Read the application's log at this time.",
			Commands: []string{cmdJournal, cmdRawAnswer},
		},
		UpstreamClosed: {
			Name: "UpstreamClosed", Label: "upstream_closed", Code: "U08", Side: SideUpstream, Status: 502, Routed: true,
			Text:     "upstream closed before the response",
			Meaning:  "The target closed the connection after it may have seen the request, and before any byte of a response.",
			Causes:   []string{"the application's keep-alive timeout is below the pool's idle timeout", "the application crashed or was restarted"},
			Remedy:   "Set idle-timeout-secs of the pool below the application's keep-alive timeout.",
			Commands: []string{cmdJournal, cmdConfig},
		},
		UpstreamWriteFailed: {
			Name: "UpstreamWriteFailed", Label: "upstream_write_failed", Code: "U09", Side: SideUpstream, Status: 502, Routed: true,
			Text:     "upstream broke off while the request was sent",
			Meaning:  "The connection broke while the request was being written, and no response came.",
			Causes:   []string{"the application refuses large content by closing", "it crashed or was restarted"},
			Remedy:   "Check the application's own limit for content.",
			Commands: []string{cmdJournal, cmdRawAnswer},
		},
		UpstreamWriteTimeout: {
			Name: "UpstreamWriteTimeout", Label: "upstream_write_timeout", Code: "U10", Side: SideUpstream, Status: 504, Routed: true,
			Text:     "upstream stopped reading the request",
			Meaning:  "The target took no byte of the request for the whole write timeout.",
			Causes:   []string{"an application that hangs", "a disk that is full where uploads go", "packet loss"},
			Remedy:   "Read the application's log at this time.",
			Commands: []string{cmdJournal, cmdHealth},
		},
	}
}

// upstreamCapacityRows holds requests for which no target could be used.
func upstreamCapacityRows() map[Kind]Row {
	return map[Kind]Row{
		NoTarget: {
			Name: "NoTarget", Label: "no_target", Code: "U18", Side: SideUpstream, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "no target available",
			Meaning:  "Every target of the upstream, and of its fallback, is unhealthy or drained.",
			Causes:   []string{"the application is down everywhere", "a health check that asks for the wrong path or status", "a name with no address"},
			Remedy:   "Look which targets are unhealthy and why their checks fail.",
			Commands: []string{cmdHealth, cmdBreaker},
		},
		BreakerOpen: {
			Name: "BreakerOpen", Label: "breaker_open", Code: "U19", Side: SideUpstream, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "circuit breaker open",
			Meaning:  "Recent requests failed so often that the breakers of all targets are open.",
			Causes:   []string{"the application answers 5xx", "it is too slow for its timeouts"},
			Remedy:   "Find the fault that opened the breaker; it closes by itself after successes.",
			Commands: []string{cmdBreaker, cmdFaults},
		},
		QueueFull: {
			Name: "QueueFull", Label: "queue_full", Code: "U20", Side: SideUpstream, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "upstream queue full",
			Meaning:  "As many requests wait for a connection to this upstream as its queue may hold.",
			Causes:   []string{"a slow upstream", "more traffic than the upstream can take"},
			Remedy:   "Compare upstream latency with its usual value; add targets if it is load.",
			Commands: []string{cmdPending, cmdLatency},
		},
		QueueTimeout: {
			Name: "QueueTimeout", Label: "queue_timeout", Code: "U21", Side: SideUpstream, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "waited too long for an upstream connection",
			Meaning:  "The request stayed in the upstream's queue for its whole waiting time.",
			Causes:   []string{"a slow upstream", "max-connections of the pool is too low"},
			Remedy:   "Compare upstream latency with its usual value; then raise the pool's max-connections.",
			Commands: []string{cmdPending, cmdLatency, cmdConfig},
		},
		UpstreamConnectionLimit: {
			Name: "UpstreamConnectionLimit", Label: "upstream_connection_limit", Code: "U22", Side: SideUpstream, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "upstream connection limit reached",
			Meaning:  "The pool holds max-connections connections, all are busy and there is no queue.",
			Causes:   []string{"a slow upstream", "max-connections of the pool is too low", "long-lived streams"},
			Remedy:   "Compare upstream latency with its usual value; then raise the pool's max-connections.",
			Commands: []string{cmdLatency, cmdConfig},
		},
	}
}
