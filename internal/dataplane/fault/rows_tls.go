package fault

// clientTLSRows holds clients that don't get as far as a request.
func clientTLSRows() map[Kind]Row {
	return map[Kind]Row{
		TLSHandshake: {
			Name: "TLSHandshake", Label: "tls_handshake", Code: "C33", Side: SideClient, Status: 499, Closes: true,
			Text:     "tls handshake failed",
			Meaning:  "A client connected and no TLS session came of it.",
			Causes:   []string{"a client that doesn't trust the certificate", "a version or cipher that only one side speaks", "a scanner or a health check that goes away early"},
			Remedy:   "Try it with openssl s_client and the server name that the client uses.",
			Commands: []string{cmdHandshake, cmdFaults},
		},
		TLSTimeout: {
			Name: "TLSTimeout", Label: "tls_timeout", Code: "C34", Side: SideClient, Status: 499, Closes: true,
			Text:     "tls handshake timed out",
			Meaning:  "A client connected and didn't finish its handshake within handshake-timeout-secs.",
			Causes:   []string{"a slow-handshake attack", "a client on a very poor network", "a monitor that only opens connections"},
			Remedy:   "Look at who does it; many from few addresses is an attack.",
			Commands: []string{cmdClients, cmdOpen},
		},
		ClientCertificate: {
			Name: "ClientCertificate", Label: "client_certificate", Code: "C35", Side: SideClient, Status: 499, Closes: true,
			Text:     "client certificate missing or not believed",
			Meaning:  "The listener asks for a client certificate and the client has none, or one that is unknown, expired or revoked.",
			Causes:   []string{"a client that wasn't given its certificate", "a certificate that expired or was revoked", "an authority that is missing from ca-file", "a crl-file past its time"},
			Remedy:   "Check the client's certificate against ca-file and crl-file by openssl verify.",
			Commands: []string{cmdHandshake, cmdConfig},
		},
		Unencrypted: {
			Name: "Unencrypted", Label: "unencrypted", Code: "C36", Side: SideClient, Status: 400, Closes: true,
			Text:     "unencrypted request to a tls port",
			Meaning:  "The client sent a request without TLS to a listener that speaks TLS.",
			Causes:   []string{"an address that says http:// instead of https://", "a load balancer in front that ends TLS itself"},
			Remedy:   "Use https://, or give what speaks plain HTTP a listener of its own.",
			Commands: []string{cmdConfig, cmdClients},
		},
	}
}
