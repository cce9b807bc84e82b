package fault

// The kinds, in the order of the table. Labels and codes are stable; the
// numbers behind these names are not.
const (
	// None is the absence of a fault.
	None Kind = iota

	// BadRequest is a request that breaks the grammar of RFC 9112.
	BadRequest
	// BadFraming is a request whose length is ambiguous (RFC 9112 section 6.3).
	BadFraming
	// BadChunk is chunked request content that breaks RFC 9112 section 7.1.
	BadChunk
	// BadHost is a missing, repeated or malformed Host (RFC 9110 section 7.2).
	BadHost
	// BadTarget is a malformed request target (RFC 9112 section 3.2).
	BadTarget
	// PathRefused is a path that canonicalization refuses.
	PathRefused
	// BadField is a malformed field line (RFC 9110 section 5).
	BadField
	// BadVersion is an HTTP version this listener doesn't speak.
	BadVersion
	// UnsupportedCoding is a transfer coding other than chunked.
	UnsupportedCoding
	// MethodUnknown is a method that isn't implemented.
	MethodUnknown
	// MethodNotAllowed is a method that the resource doesn't take.
	MethodNotAllowed
	// ConnectRefused is a CONNECT request; no forward proxy is offered.
	ConnectRefused
	// UpgradeRefused is an upgrade to a protocol that isn't allowed.
	UpgradeRefused
	// ExpectationFailed is an Expect other than 100-continue.
	ExpectationFailed
	// HeadTooLarge is a request head above the limit of bytes.
	HeadTooLarge
	// TooManyFields is a request head above the limit of field lines.
	TooManyFields
	// TargetTooLong is a request target above its limit.
	TargetTooLong
	// ContentTooLarge is request content above its limit.
	ContentTooLarge
	// HeadTimeout is a request head that didn't arrive in time.
	HeadTimeout
	// ContentTimeout is request content that stopped arriving.
	ContentTimeout
	// ContentTooSlow is request content below the minimum rate.
	ContentTooSlow
	// ContentTruncated is request content that ended before its length.
	ContentTruncated
	// ClientClosed is a client that left before the response began.
	ClientClosed
	// ClientAborted is a client that left while the response was sent.
	ClientAborted
	// ClientStalled is a client that stopped reading the response.
	ClientStalled
	// Misdirected is a host that this connection's certificate doesn't cover.
	Misdirected
	// NoRoute is a request that no route matches.
	NoRoute
	// RateLimited is a request above its rate limit.
	RateLimited
	// ClientConnectionLimit is one client with too many connections.
	ClientConnectionLimit
	// ClientBanned is a client that an operator or a policy has banned.
	ClientBanned
	// ChallengeFailed is a client that didn't pass the challenge.
	ChallengeFailed
	// AccessDenied is a client that an access list keeps out.
	AccessDenied
	// ProxySenderUnknown is a peer without a place among those that send PROXY headers.
	ProxySenderUnknown
	// BadProxyHeader is a PROXY header that is missing or malformed.
	BadProxyHeader
	// ProxyHeaderTimeout is a PROXY header that didn't arrive in time.
	ProxyHeaderTimeout
	// BadHello is a stream that begins with a malformed TLS ClientHello.
	BadHello
	// HelloTimeout is a stream whose ClientHello didn't arrive in time.
	HelloTimeout
	// ProtocolViolation is a connection that breaks the rules of RFC 9113.
	ProtocolViolation
	// StreamResets is a client that gives up streams faster than they can be served.
	StreamResets
	// FrameFlood is a client that sends frames that carry nothing.
	FrameFlood
	// HeaderFlood is an encoded field section above its limit of bytes or frames.
	HeaderFlood
	// TLSHandshake is a handshake with a client that failed.
	TLSHandshake
	// TLSTimeout is a handshake that a client didn't bring to its end in time.
	TLSTimeout
	// ClientCertificate is a client whose certificate is missing or isn't believed.
	ClientCertificate
	// Unencrypted is a client that speaks HTTP without TLS where TLS is spoken.
	Unencrypted
	// Unauthorized is a request without credentials, or with wrong ones.
	Unauthorized
	// ClaimsRefused is a client that is known and still may not.
	ClaimsRefused
	// AuthRefused is a request that the authorization service refuses.
	AuthRefused
	// PreflightRefused is a preflight of an origin, method or field that isn't allowed.
	PreflightRefused

	// UpstreamRefused is a connection that the target's host refused.
	UpstreamRefused
	// UpstreamConnectTimeout is a connection that wasn't established in time.
	UpstreamConnectTimeout
	// UpstreamUnreachable is a target to which there is no way.
	UpstreamUnreachable
	// UpstreamNameUnresolved is a target whose name has no address.
	UpstreamNameUnresolved
	// UpstreamTLS is a TLS handshake with the target that failed.
	UpstreamTLS
	// UpstreamTLSTimeout is a TLS handshake with the target that didn't end in time.
	UpstreamTLSTimeout
	// UpstreamTLSRefused is a TLS handshake that the target refused.
	UpstreamTLSRefused
	// UpstreamCertificate is a target whose certificate isn't fit for a server.
	UpstreamCertificate
	// UpstreamCertificateExpired is a target whose certificate isn't valid at this time.
	UpstreamCertificateExpired
	// UpstreamCertificateAuthority is a target whose certificate comes from an authority that
	// isn't trusted.
	UpstreamCertificateAuthority
	// UpstreamCertificateName is a target whose certificate is for another name.
	UpstreamCertificateName
	// UpstreamReset is a connection reset before the response began.
	UpstreamReset
	// UpstreamClosed is a connection closed before the response began.
	UpstreamClosed
	// UpstreamWriteFailed is a request that couldn't be written whole.
	UpstreamWriteFailed
	// UpstreamWriteTimeout is a target that stopped reading the request.
	UpstreamWriteTimeout
	// UpstreamProtocol is a target that doesn't speak the protocol it is configured for.
	UpstreamProtocol
	// UpstreamRefusedStream is a request that the target says it hasn't processed (RFC 9113
	// section 8.7).
	UpstreamRefusedStream
	// UpstreamBadResponse is a response that breaks the grammar of RFC 9112.
	UpstreamBadResponse
	// UpstreamBadFraming is a response whose length is ambiguous.
	UpstreamBadFraming
	// UpstreamHeadTooLarge is a response head above its limit.
	UpstreamHeadTooLarge
	// UpstreamBadUpgrade is a 101 that nobody asked for, or to another protocol.
	UpstreamBadUpgrade
	// UpstreamTruncated is response content that ended before its length.
	UpstreamTruncated
	// UpstreamResponseTimeout is a response that didn't begin in time.
	UpstreamResponseTimeout
	// UpstreamReadTimeout is response content that stopped arriving.
	UpstreamReadTimeout
	// RequestDeadline is the whole exchange exceeding its time.
	RequestDeadline
	// NoTarget is an upstream without a usable target.
	NoTarget
	// BreakerOpen is an upstream whose circuit breakers are open.
	BreakerOpen
	// QueueFull is an upstream whose queue of waiting requests is full.
	QueueFull
	// QueueTimeout is a request that waited too long for a connection.
	QueueTimeout
	// UpstreamConnectionLimit is an upstream at its limit of connections.
	UpstreamConnectionLimit
	// AuthUnavailable is an authorization service that didn't answer as one does.
	AuthUnavailable
	// TokenKeysMissing is a token while no keys are there to check it with.
	TokenKeysMissing

	// Internal is a bug of this proxy.
	Internal
	// Draining is a request during shutdown.
	Draining
	// ConnectionLimit is the proxy at its limit of client connections.
	ConnectionLimit
	// RequestLimit is the proxy at its limit of concurrent requests.
	RequestLimit
	// MemoryLimit is the proxy at its memory budget.
	MemoryLimit
	// DescriptorLimit is the process at its limit of open files.
	DescriptorLimit
	// PortsExhausted is the host without a free local port towards a target.
	PortsExhausted
	// RouteDisabled is a request for a route that an operator has disabled.
	RouteDisabled
	// PasswordChecksBusy is a password while as many are being checked as may be.
	PasswordChecksBusy

	// Count is the number of kinds, None included: the length of a table indexed by Kind.
	Count
)
