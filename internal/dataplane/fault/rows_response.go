package fault

// upstreamResponseRows holds responses that are malformed, cut or late.
func upstreamResponseRows() map[Kind]Row {
	return map[Kind]Row{
		UpstreamBadResponse: {
			Name: "UpstreamBadResponse", Label: "upstream_bad_response", Code: "U11", Side: SideUpstream, Status: 502, Routed: true,
			Text:     "upstream sent a malformed response",
			Meaning:  "The bytes the target sent are not an HTTP/1.1 response.",
			Causes:   []string{"the target speaks TLS or another protocol on that port", "control characters in a field of the application"},
			Remedy:   "Ask the target by hand and look at the raw answer.",
			Commands: []string{cmdRawAnswer},
		},
		UpstreamBadFraming: {
			Name: "UpstreamBadFraming", Label: "upstream_bad_framing", Code: "U12", Side: SideUpstream, Status: 502, Routed: true,
			Text:     "ambiguous response framing",
			Meaning:  "The response's Content-Length and Transfer-Encoding contradict each other or themselves.",
			Causes:   []string{"an application that sets both fields", "a repeated Content-Length"},
			Remedy:   "Correct the application; such a response is never passed on.",
			Commands: []string{cmdRawAnswer},
		},
		UpstreamHeadTooLarge: {
			Name: "UpstreamHeadTooLarge", Label: "upstream_head_too_large", Code: "U13", Side: SideUpstream, Status: 502, Routed: true,
			Text:     "response head too large",
			Meaning:  "The response's status line and field lines exceed the limit.",
			Causes:   []string{"an application that sets many cookies", "debug data in fields"},
			Remedy:   "Look at the fields of the response; raise the limit if they are wanted.",
			Commands: []string{cmdRawAnswer, cmdConfig},
		},
		UpstreamBadUpgrade: {
			Name: "UpstreamBadUpgrade", Label: "upstream_bad_upgrade", Code: "U14", Side: SideUpstream, Status: 502, Routed: true,
			Text:     "upstream switched protocols unasked",
			Meaning:  "The target answered 101 to a request that asked for no upgrade, or switched to another protocol.",
			Causes:   []string{"an application error"},
			Remedy:   "Ask the target by hand and look at the raw answer.",
			Commands: []string{cmdRawAnswer},
		},
		UpstreamTruncated: {
			Name: "UpstreamTruncated", Label: "upstream_truncated", Code: "U15", Side: SideUpstream, Status: 502, Routed: true, Closes: true,
			Text:     "response content ended early",
			Meaning:  "The target closed the connection before all the content it announced; the client connection was cut so that the loss is visible.",
			Causes:   []string{"the application crashed while it answered", "it was restarted without draining", "a wrong Content-Length"},
			Remedy:   "Read the application's log at this time.",
			Commands: []string{cmdJournal, cmdRawAnswer},
		},
		UpstreamResponseTimeout: {
			Name: "UpstreamResponseTimeout", Label: "upstream_response_timeout", Code: "U16", Side: SideUpstream, Status: 504, Routed: true,
			Text:     "upstream response timed out",
			Meaning:  "The target took the request and sent no response within the time allowed.",
			Causes:   []string{"a slow query or dependency of the application", "an overloaded application", "an application that hangs"},
			Remedy:   "Check the application's performance; raise request-secs for a while if it is slow but well.",
			Commands: []string{cmdLatency, cmdPending},
		},
		UpstreamReadTimeout: {
			Name: "UpstreamReadTimeout", Label: "upstream_read_timeout", Code: "U17", Side: SideUpstream, Status: 504, Routed: true, Closes: true,
			Text:     "response content timed out",
			Meaning:  "The target stopped sending in the middle of the response content.",
			Causes:   []string{"a stream that is silent for longer than read-secs", "an application that hangs", "packet loss"},
			Remedy:   "Raise read-secs for routes with quiet streams.",
			Commands: []string{cmdLatency, cmdConfig},
		},
		RequestDeadline: {
			Name: "RequestDeadline", Label: "request_deadline", Code: "U23", Side: SideUpstream, Status: 504, Routed: true,
			Text:     "request deadline passed",
			Meaning:  "All attempts together took longer than request-secs.",
			Causes:   []string{"a slow upstream", "retries that use up the time", "a large upload on a slow link"},
			Remedy:   "Check the upstream's latency; raise request-secs for this route if long requests are normal.",
			Commands: []string{cmdLatency, cmdConfig},
		},
	}
}
