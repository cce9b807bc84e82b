package fault

// selfRows holds failures of this proxy and of the host it runs on.
func selfRows() map[Kind]Row {
	return map[Kind]Row{
		Internal: {
			Name: "Internal", Label: "internal", Code: "S01", Side: SideSelf, Status: 500, Routed: true, Closes: true,
			Text:     "internal fault",
			Meaning:  "The proxy came across a state that must not be.",
			Causes:   []string{"a bug in Sentinel"},
			Remedy:   "Report it with the stack trace from the log; restart if it persists.",
			Commands: []string{cmdJournal, "sentinel --version"},
		},
		Draining: {
			Name: "Draining", Label: "draining", Code: "S02", Side: SideSelf, Status: 503, Closes: true, Unsent: true, RetryAfter: 1,
			Text:     "shutting down",
			Meaning:  "The proxy is finishing what it has and takes nothing new.",
			Causes:   []string{"a stop or restart", "a load balancer in front that ignores /ready"},
			Remedy:   "Let the load balancer in front watch /ready.",
			Commands: []string{"systemctl status sentinel", "curl -s localhost:8080/ready"},
		},
		ConnectionLimit: {
			Name: "ConnectionLimit", Label: "connection_limit", Code: "S03", Side: SideSelf, Status: 503, Closes: true, Unsent: true, RetryAfter: 1,
			Text:     "too many connections",
			Meaning:  "The proxy holds as many client connections as max-connections allows.",
			Causes:   []string{"a flood of connections", "slow upstreams that make requests pile up", "a limit that is too low"},
			Remedy:   "Look at the top clients first; raise max-connections if the traffic is wanted and memory allows.",
			Commands: []string{cmdOpen, cmdClients},
		},
		RequestLimit: {
			Name: "RequestLimit", Label: "request_limit", Code: "S04", Side: SideSelf, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "too many concurrent requests",
			Meaning:  "As many requests are in progress as the limit allows.",
			Causes:   []string{"slow upstreams that make requests pile up", "a flood"},
			Remedy:   "Check the upstreams' latency first.",
			Commands: []string{cmdLatency, cmdPending},
		},
		MemoryLimit: {
			Name: "MemoryLimit", Label: "memory_limit", Code: "S05", Side: SideSelf, Status: 503, Closes: true, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "memory budget spent",
			Meaning:  "Serving the request would take more memory than the budget allows.",
			Causes:   []string{"many large requests at once", "too many connections for the memory limit of the service"},
			Remedy:   "Lower max-connections or raise the memory limit of the service.",
			Commands: []string{"curl -s localhost:9090/metrics | grep process_resident_memory_bytes", cmdOpen},
		},
		DescriptorLimit: {
			Name: "DescriptorLimit", Label: "descriptor_limit", Code: "S06", Side: SideSelf, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "out of file descriptors",
			Meaning:  "The process has as many open files as the system lets it have.",
			Causes:   []string{"LimitNOFILE below twice max-connections"},
			Remedy:   "Raise LimitNOFILE in the unit.",
			Commands: []string{"curl -s localhost:9090/metrics | grep process_open_fds", "cat /proc/$(pidof sentinel)/limits"},
		},
		PortsExhausted: {
			Name: "PortsExhausted", Label: "ports_exhausted", Code: "S07", Side: SideSelf, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "no free local port towards the upstream",
			Meaning:  "All local ports towards this target are in use or in TIME_WAIT.",
			Causes:   []string{"an upstream that closes every connection", "a pool whose max-idle is too low"},
			Remedy:   "Let the application keep connections alive and raise max-idle of the pool.",
			Commands: []string{"ss -s", "sysctl net.ipv4.ip_local_port_range"},
		},
	}
}
