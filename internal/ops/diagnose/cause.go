package diagnose

// Severity is how bad a finding is, by the table of the runbook. A larger one is worse; its
// number is the exit code of the command.
type Severity int

// The severities.
const (
	Well Severity = iota // nothing is wrong
	SEV4                 // minor: next to nobody feels it
	SEV3                 // slower, or one upstream of several
	SEV2                 // several routes fail, or more than a tenth of all requests
	SEV1                 // nothing goes through
)

// String returns the severity as the runbook names it.
func (s Severity) String() string { return [...]string{"well", "SEV4", "SEV3", "SEV2", "SEV1"}[s] }

// MarshalText returns what String does.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Procedure is one of the runbook.
type Procedure struct {
	Name    string `json:"name"`
	Section string `json:"section"` // of docs/runbook.md
}

// The procedures of the runbook.
const (
	crash       = "Process Crash"
	healthCheck = "Health Check Failure"
	upstreams   = "Upstream Failure"
	errorRate   = "High Error Rate"
	memory      = "Memory Exhaustion"
	tlsIssues   = "TLS/Certificate Issues"
	reload      = "Configuration Reload Failure"
	attack      = "DDoS/Attack Response"
	slow        = "Performance Degradation"
)

// sections are where docs/runbook.md tells of each procedure.
func sections() map[string]string {
	return map[string]string{
		crash: "process-crash", healthCheck: "health-check-failure", upstreams: "upstream-failure", errorRate: "high-error-rate",
		memory: "memory-exhaustion", tlsIssues: "tls-and-certificates", reload: "reload-failure",
		attack: "attack", slow: "performance-degradation",
	}
}

func procedure(name string) Procedure {
	return Procedure{Name: name, Section: "docs/runbook.md#" + sections()[name]}
}

// Cause is one thing that can be wrong.
type Cause struct {
	Code      string
	Severity  Severity // unless the evidence says otherwise
	Procedure string
	Meaning   string   // one sentence
	Signs     string   // how it is recognised
	Explains  []string // codes of what it brings about, which are told behind it
}

// The codes that causes explain as a group.
func downCodes() []string {
	return []string{"health-unanswered", "process-not-running", "process-killed", "pid-file-stale"}
}

func trafficCodes() []string {
	return []string{"breaker-open", "queue-full", "request-limit", "not-ready", "upstream-errors", "error-rate"}
}

// Causes returns all of them: of two that are equally bad the one that stands first is told
// first, since it is nearer to the root.
func Causes() []Cause {
	var all []Cause
	for _, part := range [][]Cause{deathCauses(), changeCauses(), hostCauses(), certificateCauses(), attackCauses(), upstreamCauses(), limitCauses(), symptomCauses()} {
		all = append(all, part...)
	}
	return all
}

func deathCauses() []Cause {
	return []Cause{
		{"certificate-missing", SEV4, tlsIssues, "A file of a certificate, a key or an authority that the configuration names isn't there or can't be read. A start fails for it.", "the files of the configuration are read as a start reads them", append(downCodes(), "config-invalid", "reload-failed", "config-not-loaded")},
		{"certificate-key-mismatch", SEV4, tlsIssues, "A private key doesn't belong to the certificate beside it. A start fails for it.", "both files are read and held against each other", append(downCodes(), "config-invalid", "reload-failed", "config-not-loaded")},
		{"config-invalid", SEV4, reload, "The configuration file doesn't parse or isn't valid: a start or restart fails. With the process dead that is why it stays dead.", "the file is checked as a start checks it, with position", append(downCodes(), "reload-failed", "config-not-loaded")},
		{"port-in-use", SEV1, crash, "Another process listens where a listener of the configuration wants to.", "/proc/net/tcp and the descriptors of all processes, while no sentinel runs", downCodes()},
		{"process-oom-killed", SEV1, crash, "The kernel killed the process because memory was out.", "the kernel's log, or the journal, names the process", downCodes()},
		{"process-crashed", SEV1, crash, "The process ended by a panic or an error of the runtime.", "the mark of the run in the state folder, and what the runtime wrote there", downCodes()},
		{"process-frozen", SEV1, healthCheck, "The process is stopped by a signal or a debugger and does nothing.", "its state in /proc is T", []string{"health-unanswered", "not-ready"}},
		{"process-killed", SEV1, crash, "The process ended without a word, as by SIGKILL, or with the machine.", "the mark of the run is in the state folder, and no such process lives", []string{"health-unanswered", "process-not-running", "pid-file-stale"}},
		{"process-not-running", SEV1, crash, "No sentinel runs with this configuration.", "neither admin socket nor pid file nor any process tells of one", []string{"health-unanswered", "pid-file-stale"}},
	}
}

func changeCauses() []Cause {
	return []Cause{
		{"process-draining", SEV2, healthCheck, "The process was told to stop and finishes what it has.", "its state at the admin socket", []string{"not-ready", "health-unanswered", "error-rate"}},
		{"reload-regression", SEV3, reload, "Errors began with a reload.", "the share of failing requests in the minutes before and after it", append(trafficCodes(), upstreamCodes()...)},
		{"upstream-drained", SEV2, upstreams, "An operator has taken all targets of an upstream out of service.", "the targets at the admin socket", trafficCodes()},
		{"route-disabled", SEV2, errorRate, "An operator has disabled a route for a while.", "the emergency changes, and the fault route_disabled", []string{"error-rate"}},
		{"ban-important", SEV3, attack, "A ban keeps out a wide or important prefix, and clients run into it.", "the bans, their prefixes and hits", []string{"health-unanswered", "error-rate"}},
		{"reload-failed", SEV4, reload, "The last reload failed: what serves is the configuration before it.", "the outcome of the last reload at the admin socket, or the metric", []string{"config-not-loaded"}},
		{"config-deviates", SEV4, reload, "Something else serves than what was asked for last: nobody confirmed it, requests fared worse, or it was broken at the start.", "what the process says of its configuration", []string{"reload-failed", "config-not-loaded", "config-invalid"}},
		{"pid-file-stale", SEV4, healthCheck, "The pid file names a process that isn't sentinel: signals by it reach nobody, or somebody else.", "the pid file and the process that it names", nil},
		{"restarted", SEV3, crash, "The process runs again after an end that wasn't a good one; what it had in hand then was lost.", "the event of the start, within the last hour", nil},
		{"config-not-loaded", SEV4, reload, "The file on disk says something else than what serves.", "both are compared value by value", nil},
	}
}

func hostCauses() []Cause {
	return []Cause{
		{"disk-full", SEV3, crash, "A file system that the proxy writes to is full: state, logs or pid file are lost, and a start may fail.", "free blocks and files of the file system", append(downCodes(), "state-read-only")},
		{"state-read-only", SEV4, crash, "The state folder can't be written: history, bans and keys are lost at the next restart.", "the mount flags and the rights of the folder", downCodes()},
		{"descriptors-near-limit", SEV3, slow, "The process has nearly as many open files as it may; then no connection comes in or goes out.", "/proc/PID/fd against /proc/PID/limits, or the process metrics", append(trafficCodes(), "connection-limit", "listen-overflow", "health-unanswered")},
		{"memory-shedding", SEV3, memory, "Memory is short: requests or connections are turned away to keep the process alive.", "the memory stage among the metrics", append(trafficCodes(), "connection-limit", "listen-overflow")},
		{"conntrack-full", SEV2, slow, "The kernel's table of tracked connections is nearly full: it drops new ones.", "nf_conntrack_count against nf_conntrack_max", append(trafficCodes(), "listen-overflow", "upstream-timeout")},
		{"ports-exhausted", SEV2, slow, "No local port is left towards a target.", "the fault ports_exhausted", trafficCodes()},
		{"cpu-throttled", SEV3, slow, "The cgroup takes the processor away from the process.", "nr_throttled of its cpu.stat within a second", append(trafficCodes(), "listen-overflow", "upstream-slow")},
		{"listen-overflow", SEV3, slow, "Connections are dropped because the process doesn't accept them fast enough.", "ListenOverflows in /proc/net/netstat within a second", nil},
	}
}

func certificateCauses() []Cause {
	return []Cause{
		{"certificate-expired", SEV2, tlsIssues, "A certificate that clients or upstreams are shown is past its time, or not yet in it.", "the certificates in use and their files", []string{"client-tls", "error-rate"}},
		{"certificate-broken", SEV3, tlsIssues, "Peers won't believe a certificate: its chain, its use or its names are wrong.", "the certificates in use and their files", []string{"client-tls"}},
		{"certificate-expires-soon", SEV4, tlsIssues, "A certificate ends within two weeks, or within a tenth of its time when that is shorter.", "the certificates in use and their files", nil},
		{"client-tls", SEV3, tlsIssues, "TLS handshakes of clients fail.", "the faults of handshakes", nil},
	}
}

func attackCauses() []Cause {
	return []Cause{
		{"attack-one-client", SEV3, attack, "One client sends most of the requests and runs into limits.", "the top clients and the faults of limits", append(trafficCodes(), "route-limited", "connection-limit", "client-limit", "memory-shedding", "descriptors-near-limit")},
		{"client-limit", SEV4, attack, "One client has as many connections as a client may.", "the fault client_connection_limit, and connections by peer", nil},
		{"slow-clients", SEV3, attack, "Many clients send so slowly that they only hold connections.", "faults of timeouts on the client's side", []string{"connection-limit", "descriptors-near-limit", "memory-shedding"}},
	}
}

// upstreamCodes are what is wrong with a target, by the layer that fails.
func upstreamCodes() []string {
	var codes []string
	for _, c := range upstreamCauses() {
		codes = append(codes, c.Code)
	}
	return codes
}

func upstreamCauses() []Cause {
	by := "its health check, a probe of our own, or the faults of its requests"
	return []Cause{
		{"upstream-dns", SEV3, upstreams, "The name of a target has no address.", by, trafficCodes()},
		{"upstream-refused", SEV3, upstreams, "Nothing listens at a target's port.", by, trafficCodes()},
		{"upstream-timeout", SEV3, upstreams, "A target can't be connected to: packets go nowhere.", by, append(trafficCodes(), "upstream-slow")},
		{"upstream-unreachable", SEV3, upstreams, "There is no network path to a target.", by, trafficCodes()},
		{"upstream-tls-expired", SEV3, tlsIssues, "A target's certificate is past its time.", by, trafficCodes()},
		{"upstream-tls-authority", SEV3, tlsIssues, "A target's certificate is from an authority that isn't trusted.", by, trafficCodes()},
		{"upstream-tls-name", SEV3, tlsIssues, "A target's certificate is for another name.", by, trafficCodes()},
		{"upstream-tls", SEV3, tlsIssues, "The TLS handshake with a target fails.", by, trafficCodes()},
		{"upstream-garbage", SEV3, errorRate, "A target's answers aren't valid HTTP.", by, trafficCodes()},
		{"upstream-breaks-off", SEV3, errorRate, "A target closes or resets connections instead of answering.", by, trafficCodes()},
		{"upstream-slow", SEV3, errorRate, "A target doesn't answer in time.", by, trafficCodes()},
		{"upstream-check-failed", SEV3, upstreams, "A target answers its health check with something else than what is expected.", by, append(trafficCodes(), "upstream-errors")},
		{"upstream-ejected", SEV3, upstreams, "A target is left out for a while, for what its answers were.", "the targets at the admin socket", []string{"not-ready", "error-rate"}},
	}
}

func limitCauses() []Cause {
	return []Cause{
		{"breaker-open", SEV3, upstreams, "Requests failed so often that a breaker keeps them away from a target.", "the breakers at the admin socket, and the fault breaker_open", []string{"not-ready", "error-rate"}},
		{"queue-full", SEV3, slow, "Requests wait for an upstream, and more than may wait.", "the faults of the queue, and how many wait", []string{"error-rate", "request-limit"}},
		{"connection-limit", SEV2, slow, "As many client connections are open as may be.", "open connections against the limits, and the fault connection_limit", []string{"error-rate", "listen-overflow"}},
		{"request-limit", SEV3, slow, "As many requests are in progress as may be.", "the fault request_limit", []string{"error-rate"}},
		{"latency-raised", SEV3, slow, "An upstream answers much more slowly than it did before.", "the mean time of its responses in the last 20 s against the rest of the last hour", []string{"queue-full", "request-limit"}},
		{"route-limited", SEV3, errorRate, "A rate limit turns away requests of many clients: it is too low, or there is more traffic than usual.", "the fault rate_limited without one client that stands out", []string{"error-rate"}},
		{"clients-refused", SEV3, errorRate, "Access lists, challenges or authentication turn away many requests.", "the faults of access and authentication", nil},
	}
}

func symptomCauses() []Cause {
	return []Cause{
		{"internal-errors", SEV2, errorRate, "The proxy came across faults of its own.", "the fault internal", []string{"error-rate"}},
		{"upstream-errors", SEV3, errorRate, "An application answers with 5xx itself.", "answers with 5xx that no fault of the proxy stands for", []string{"error-rate"}},
		{"not-ready", SEV2, healthCheck, "The proxy says that traffic should not come to it.", "/ready", nil},
		{"health-unanswered", SEV1, healthCheck, "The process is there and its listeners don't answer.", "/health", nil},
		{"error-rate", SEV3, errorRate, "More requests fail than one in a hundred.", "the counters of requests", nil},
		{"rate-limit-store-away", SEV4, slow, "The store that rate limits share is away: each proxy counts for itself.", "the event of it", nil},
	}
}
