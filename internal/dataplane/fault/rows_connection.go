package fault

// clientConnectionRows holds connections that end before their first request.
func clientConnectionRows() map[Kind]Row {
	return map[Kind]Row{
		ProxySenderUnknown: {
			Name: "ProxySenderUnknown", Label: "proxy_sender_unknown", Code: "C50", Side: SideClient, Status: 403, Closes: true,
			Text:     "peer may not send a proxy header",
			Meaning:  "The listener takes connections only from the senders listed in proxy-protocol and the peer is none of them.",
			Causes:   []string{"a load balancer whose address is missing from the list", "a client that steps around the load balancer"},
			Remedy:   "Look at client_ip in the log: add the load balancer to proxy-protocol from, or close the way around it.",
			Commands: []string{cmdJournal, cmdConfig},
		},
		BadProxyHeader: {
			Name: "BadProxyHeader", Label: "bad_proxy_header", Code: "C51", Side: SideClient, Status: 400, Closes: true,
			Text:     "proxy header missing or malformed",
			Meaning:  "A connection of a sender listed in proxy-protocol doesn't begin with a sound PROXY header.",
			Causes:   []string{"a load balancer that isn't told to send the header", "a health check of the load balancer without a header", "a header of another version or with wrong lengths"},
			Remedy:   "Turn the header on at the load balancer (its checks included), or allow connections without it by header optional.",
			Commands: []string{cmdJournal, cmdConfig},
		},
		ProxyHeaderTimeout: {
			Name: "ProxyHeaderTimeout", Label: "proxy_header_timeout", Code: "C52", Side: SideClient, Status: 408, Closes: true,
			Text:     "proxy header timed out",
			Meaning:  "The PROXY header of a connection wasn't there within the timeout of proxy-protocol.",
			Causes:   []string{"a load balancer that opens connections in advance", "a load balancer that isn't told to send the header", "packet loss"},
			Remedy:   "Turn the header on at the load balancer, or raise timeout-secs where it opens connections in advance.",
			Commands: []string{cmdJournal, cmdConfig},
		},
		BadHello: {
			Name: "BadHello", Label: "bad_hello", Code: "C53", Side: SideClient, Status: 400, Closes: true,
			Text:     "server name of the stream is not readable",
			Meaning:  "A stream of a listener with routes by server name begins with a malformed TLS ClientHello.",
			Causes:   []string{"a scanner", "a client whose ClientHello has more than 16 KiB or a name that is none"},
			Remedy:   "None if rare; else look at who sends it.",
			Commands: []string{cmdJournal, cmdFaults},
		},
		HelloTimeout: {
			Name: "HelloTimeout", Label: "hello_timeout", Code: "C54", Side: SideClient, Status: 408, Closes: true,
			Text:     "server name of the stream timed out",
			Meaning:  "A stream of a listener with routes by server name didn't begin with a whole TLS ClientHello in time.",
			Causes:   []string{"a client that waits for the server to speak first", "an attack that holds connections open", "packet loss"},
			Remedy:   "Give protocols in which the server speaks first a listener of their own, without routes by server name.",
			Commands: []string{cmdJournal, cmdConfig},
		},
	}
}
