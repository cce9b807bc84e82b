package message

// FieldID names a field that the proxy itself reads or writes; all others are
// FieldOther and are only carried.
type FieldID uint8

// The well-known fields.
const (
	FieldOther FieldID = iota
	FieldAccept
	FieldAuthorization
	FieldConnection
	FieldContentLength
	FieldContentType
	FieldCookie
	FieldDate
	FieldExpect
	FieldForwarded
	FieldForwardedAlias // x_forwarded_for and its like, with underscores
	FieldHost
	FieldHTTP2Settings
	FieldKeepAlive
	FieldProxyAuthenticate
	FieldProxyAuthorization
	FieldProxyConnection
	FieldReferer
	FieldSentinelExplain
	FieldTE
	FieldTrailer
	FieldTransferEncoding
	FieldUpgrade
	FieldUserAgent
	FieldVia
	FieldXForwardedFor
	FieldXForwardedHost
	FieldXForwardedPort
	FieldXForwardedProto
	FieldXRealIP
	FieldXRequestID
)

// Classify returns the FieldID of a field name, in any letter case.
func Classify(name []byte) FieldID {
	switch len(name) {
	case 2:
		return match(name, "te", FieldTE)
	case 3:
		return match(name, "via", FieldVia)
	case 4:
		if name[0]|0x20 == 'd' {
			return match(name, "date", FieldDate)
		}
		return match(name, "host", FieldHost)
	case 6:
		return classify6(name)
	case 7:
		return classify7(name)
	case 9:
		if EqualFold(name, "forwarded") {
			return FieldForwarded
		}
		return alias(name, "x-real-ip", FieldXRealIP)
	case 10:
		return classify10(name)
	case 12:
		if EqualFold(name, "content-type") {
			return FieldContentType
		}
		return match(name, "x-request-id", FieldXRequestID)
	case 13:
		return match(name, "authorization", FieldAuthorization)
	case 14:
		if EqualFold(name, "content-length") {
			return FieldContentLength
		}
		return match(name, "http2-settings", FieldHTTP2Settings)
	case 15:
		return alias(name, "x-forwarded-for", FieldXForwardedFor)
	case 16:
		if EqualFold(name, "proxy-connection") {
			return FieldProxyConnection
		}
		if name[0]|0x20 == 's' {
			return match(name, "sentinel-explain", FieldSentinelExplain)
		}
		if name[12]|0x20 == 'h' {
			return alias(name, "x-forwarded-host", FieldXForwardedHost)
		}
		return alias(name, "x-forwarded-port", FieldXForwardedPort)
	case 17:
		if EqualFold(name, "transfer-encoding") {
			return FieldTransferEncoding
		}
		return alias(name, "x-forwarded-proto", FieldXForwardedProto)
	case 18:
		return match(name, "proxy-authenticate", FieldProxyAuthenticate)
	case 19:
		return match(name, "proxy-authorization", FieldProxyAuthorization)
	}
	return FieldOther
}

func classify6(name []byte) FieldID {
	switch name[0] | 0x20 {
	case 'a':
		return match(name, "accept", FieldAccept)
	case 'c':
		return match(name, "cookie", FieldCookie)
	case 'e':
		return match(name, "expect", FieldExpect)
	}
	return FieldOther
}

func classify7(name []byte) FieldID {
	switch name[0] | 0x20 {
	case 'u':
		return match(name, "upgrade", FieldUpgrade)
	case 't':
		return match(name, "trailer", FieldTrailer)
	case 'r':
		return match(name, "referer", FieldReferer)
	}
	return FieldOther
}

func classify10(name []byte) FieldID {
	switch name[0] | 0x20 {
	case 'c':
		return match(name, "connection", FieldConnection)
	case 'k':
		return match(name, "keep-alive", FieldKeepAlive)
	case 'u':
		return match(name, "user-agent", FieldUserAgent)
	}
	return FieldOther
}

func match(name []byte, lower string, id FieldID) FieldID {
	if EqualFold(name, lower) {
		return id
	}
	return FieldOther
}

// alias is match that also recognises the name written with underscores: many
// servers fold the two into one variable, so the look-alike must not pass.
func alias(name []byte, lower string, id FieldID) FieldID {
	exact := true
	for i := range len(lower) {
		c, want := name[i], lower[i]
		if want == '-' && c == '_' {
			exact = false
			continue
		}
		if lowerByte(c) != want {
			return FieldOther
		}
	}
	if exact {
		return id
	}
	return FieldForwardedAlias
}

// HopByHop reports whether a field concerns one connection only and is never
// forwarded (RFC 9110 section 7.6.1). Framing fields count: each side frames anew.
func (id FieldID) HopByHop() bool {
	switch id {
	case FieldConnection, FieldContentLength, FieldHTTP2Settings, FieldKeepAlive,
		FieldProxyAuthenticate, FieldProxyAuthorization, FieldProxyConnection,
		FieldTE, FieldTrailer, FieldTransferEncoding, FieldUpgrade:
		return true
	}
	return false
}

// InForwardedFamily reports whether a field claims who the client is.
func (id FieldID) InForwardedFamily() bool {
	switch id {
	case FieldForwarded, FieldForwardedAlias, FieldXForwardedFor, FieldXForwardedHost,
		FieldXForwardedPort, FieldXForwardedProto, FieldXRealIP:
		return true
	}
	return false
}
