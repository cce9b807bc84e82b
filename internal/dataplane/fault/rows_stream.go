package fault

// upstreamStreamRows holds what can go wrong with targets that speak HTTP/2.
func upstreamStreamRows() map[Kind]Row {
	return map[Kind]Row{
		UpstreamProtocol: {
			Name: "UpstreamProtocol", Label: "upstream_protocol", Code: "U41", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream speaks another protocol",
			Meaning:  "The target accepted a connection and didn't begin it as HTTP/2 does, so no request was sent.",
			Causes:   []string{"the target speaks HTTP/1.1 only", "it is restarting", "its port is that of another service"},
			Remedy:   "Try the target by hand; without HTTP/2 there remove protocol from the upstream.",
			Commands: []string{"curl -sv --http2-prior-knowledge http://HOST:PORT/ -o /dev/null", cmdConfig},
		},
		UpstreamRefusedStream: {
			Name: "UpstreamRefusedStream", Label: "upstream_refused_stream", Code: "U42", Side: SideUpstream, Status: 503, Unsent: true, Routed: true, RetryAfter: 1,
			Text:     "upstream refused stream",
			Meaning:  "The target said that it didn't process the request: it was too busy, or it was going away.",
			Causes:   []string{"the application has reached its own limit of streams", "it is restarting"},
			Remedy:   "Compare the target's limit of concurrent streams with max-streams of the pool; add targets if it is load.",
			Commands: []string{cmdFaults, cmdHealth},
		},
	}
}
