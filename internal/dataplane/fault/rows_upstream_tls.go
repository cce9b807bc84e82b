package fault

// The commands that look at a target's TLS.
const (
	cmdHandshake   = "openssl s_client -connect HOST:PORT -servername NAME </dev/null"
	cmdCertificate = cmdHandshake + " | openssl x509 -noout -dates -subject -issuer -ext subjectAltName"
)

// upstreamTLSRows holds TLS handshakes with targets that failed: no byte of the request was
// read by an application.
func upstreamTLSRows() map[Kind]Row {
	return map[Kind]Row{
		UpstreamTLS: {
			Name: "UpstreamTLS", Label: "upstream_tls", Code: "U05", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream tls handshake broke off",
			Meaning:  "The TLS handshake with the target didn't complete.",
			Causes:   []string{"the target speaks plain HTTP", "no common TLS version or cipher", "the target closed the connection"},
			Remedy:   "Try the handshake by hand and compare it with the upstream's tls block.",
			Commands: []string{cmdHandshake},
		},
		UpstreamTLSTimeout: {
			Name: "UpstreamTLSTimeout", Label: "upstream_tls_timeout", Code: "U30", Side: SideUpstream, Status: 504, Unsent: true, Routed: true,
			Text:     "upstream tls handshake timed out",
			Meaning:  "The connection stood, but the TLS handshake with the target didn't end within connect-secs.",
			Causes:   []string{"the target speaks another protocol and waits", "an application that hangs", "packet loss"},
			Remedy:   "Try the handshake by hand from this host.",
			Commands: []string{cmdHandshake, cmdReachable},
		},
		UpstreamTLSRefused: {
			Name: "UpstreamTLSRefused", Label: "upstream_tls_refused", Code: "U31", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream refused tls handshake",
			Meaning:  "The target ended the TLS handshake with an alert before it took a request.",
			Causes:   []string{"the target wants a client certificate, or another one", "it doesn't know the server name", "no common TLS version or cipher"},
			Remedy:   "Look which alert the target sends and compare the upstream's client-cert, sni and min-version with what it asks for.",
			Commands: []string{cmdHandshake},
		},
		UpstreamCertificate: {
			Name: "UpstreamCertificate", Label: "upstream_certificate", Code: "U06", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream certificate unfit",
			Meaning:  "The target's certificate is in time and for its name, but not one that a server may show.",
			Causes:   []string{"a certificate for clients or for signing", "a chain that is longer than its authority allows", "a name that its authority may not vouch for"},
			Remedy:   "Give the target a certificate for servers.",
			Commands: []string{cmdCertificate},
		},
		UpstreamCertificateExpired: {
			Name: "UpstreamCertificateExpired", Label: "upstream_certificate_expired", Code: "U32", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream certificate expired",
			Meaning:  "The target's certificate, or one of its chain, isn't valid any more, or not yet.",
			Causes:   []string{"a renewal that failed, or that the application hasn't loaded", "a clock that is wrong here or there"},
			Remedy:   "Renew the certificate and have the application load it.",
			Commands: []string{cmdCertificate, "timedatectl"},
		},
		UpstreamCertificateAuthority: {
			Name: "UpstreamCertificateAuthority", Label: "upstream_certificate_authority", Code: "U33", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream certificate from an unknown authority",
			Meaning:  "The target's certificate doesn't lead to an authority that the upstream's tls block trusts.",
			Causes:   []string{"a private authority without ca-cert", "a target that leaves out the certificates in between", "a target that was replaced by another"},
			Remedy:   "Name the authority by ca-cert, or have the target send its whole chain.",
			Commands: []string{cmdCertificate, cmdConfig},
		},
		UpstreamCertificateName: {
			Name: "UpstreamCertificateName", Label: "upstream_certificate_name", Code: "U34", Side: SideUpstream, Status: 502, Unsent: true, Routed: true,
			Text:     "upstream certificate for another name",
			Meaning:  "The target's certificate doesn't hold the name that was asked for: sni, or the host of the target.",
			Causes:   []string{"a target that is addressed by IP while its certificate has a name", "a wrong sni", "a target that was replaced by another"},
			Remedy:   "Set sni in the upstream's tls block to a name that the certificate holds.",
			Commands: []string{cmdCertificate, cmdConfig},
		},
	}
}
