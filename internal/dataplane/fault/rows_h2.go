package fault

// clientH2Rows holds what ends a whole HTTP/2 connection.
func clientH2Rows() map[Kind]Row {
	return map[Kind]Row{
		ProtocolViolation: {
			Name: "ProtocolViolation", Label: "protocol_violation", Code: "C40", Side: SideClient, Status: 400, Closes: true,
			Text:     "http2 protocol violation",
			Meaning:  "The client sent a frame that HTTP/2 doesn't allow at that point; the connection was ended by GOAWAY.",
			Causes:   []string{"a broken client library", "a scanner or fuzzer", "an attempt to have streams reset by the proxy while upstreams work"},
			Remedy:   "Look at who sends it; correct clients never do.",
			Commands: []string{cmdClients, cmdFaults},
		},
		StreamResets: {
			Name: "StreamResets", Label: "stream_resets", Code: "C41", Side: SideClient, Status: 400, Closes: true,
			Text:     "too many streams given up",
			Meaning:  "The client opened streams and gave them up, or had them refused, faster than an honest one does; the connection was ended by GOAWAY.",
			Causes:   []string{"a rapid reset attack", "a client that cancels nearly every request", "a client that ignores the limit of concurrent streams"},
			Remedy:   "Ban who does it from many connections; a load test or a crawler that cancels has to be slowed down.",
			Commands: []string{cmdClients, cmdFaults},
		},
		FrameFlood: {
			Name: "FrameFlood", Label: "frame_flood", Code: "C42", Side: SideClient, Status: 400, Closes: true,
			Text:     "too many frames without content",
			Meaning:  "The client sent SETTINGS, PING, WINDOW_UPDATE, PRIORITY or empty frames far beyond what its requests need; the connection was ended by GOAWAY.",
			Causes:   []string{"a flood attack", "a broken client library"},
			Remedy:   "Ban who does it from many connections.",
			Commands: []string{cmdClients, cmdFaults},
		},
		HeaderFlood: {
			Name: "HeaderFlood", Label: "header_flood", Code: "C43", Side: SideClient, Status: 431, Closes: true,
			Text:     "field section too large or in too many frames",
			Meaning:  "An encoded header section was far above max-header-size, or was cut into too many CONTINUATION frames; the connection was ended by GOAWAY.",
			Causes:   []string{"a CONTINUATION flood", "a header bomb"},
			Remedy:   "Ban who does it; no honest client sends such a section.",
			Commands: []string{cmdClients, cmdFaults},
		},
	}
}
