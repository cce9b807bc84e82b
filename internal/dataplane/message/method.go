package message

// Method is a request method (RFC 9110 section 9) as far as the proxy treats it
// differently; others are MethodOther and are carried as received.
type Method uint8

// The methods the proxy knows.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodOptions
	MethodTrace
	MethodConnect
	MethodPatch
)

// ParseMethod returns the Method of a method token, which is case-sensitive.
func ParseMethod(b []byte) Method {
	switch string(b) {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "OPTIONS":
		return MethodOptions
	case "TRACE":
		return MethodTrace
	case "CONNECT":
		return MethodConnect
	case "PATCH":
		return MethodPatch
	}
	return MethodOther
}

// Idempotent reports whether sending the request twice has the effect of sending it
// once (RFC 9110 section 9.2.2), so that it may be tried again.
func (m Method) Idempotent() bool {
	switch m {
	case MethodGet, MethodHead, MethodPut, MethodDelete, MethodOptions, MethodTrace:
		return true
	}
	return false
}
