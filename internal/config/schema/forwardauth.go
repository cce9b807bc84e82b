package schema

import (
	"strings"
	"time"
)

// ForwardAuth asks a service whether a request may go on.
type ForwardAuth struct {
	Block
	Mode             Value[string] // "enforce", "shadow" or "off"
	Upstream         Value[string]
	Path             Value[string]
	Method           Value[string] // "GET" or "HEAD" or "POST"
	RequestHeaders   []Value[string]
	ResponseHeaders  []Value[string]
	UserHeader       Value[string]
	Timeout          Value[time.Duration]
	MaxResponseBytes Value[int64]
	OnError          Value[string] // "deny" or "allow"
}

func forwardAuthBlock() blockDef {
	return blockDef{
		name: "forward-auth",
		doc: "A service is asked whether a request may go on: 2xx lets it, 401, 403 and redirects go to the client, anything else refuses it. The service gets no content. " +
			"The nearest block holds as a whole. See [access-control.md](../access-control.md).",
		keys: []Key{
			modeKey(func(f *ForwardAuth) *Value[string] { return &f.Mode }),
			{
				Name: "upstream", Kind: Text, check: checkName, Doc: "name of the upstream that is the service, with its pool, breakers and timeouts",
				slot: value(func(f *ForwardAuth) any { return &f.Upstream }),
			},
			{
				Name: "path", Kind: Text, check: checkSidePath, Default: "/", Doc: "path that is asked, with a query if it needs one",
				slot: value(func(f *ForwardAuth) any { return &f.Path }),
			},
			{
				Name: "method", Kind: Text, check: checkSideMethod, Default: "GET", Doc: "`GET`, `HEAD` or `POST`: the method that is asked by; the method of the request is in X-Forwarded-Method",
				slot: value(func(f *ForwardAuth) any { return &f.Method }),
			},
			{
				Name: "request-headers", Kind: Texts, Many: true, check: checkEditedField,
				Doc:  "fields of the request that the service gets, without it Authorization and Cookie; beside X-Forwarded-Method, -Proto, -Host, -Uri, -For and the request id, which it always gets",
				slot: value(func(f *ForwardAuth) any { return &f.RequestHeaders }),
			},
			{
				Name: "response-headers", Kind: Texts, Many: true, check: checkIdentityField,
				Doc:  "fields of its answer that the upstream of the route gets; of requests to any route they are taken away, so that nobody can forge them",
				slot: value(func(f *ForwardAuth) any { return &f.ResponseHeaders }),
			},
			{
				Name: "user-header", Kind: Text, check: checkFieldName, Doc: "field of its answer that says who the client is, in the log and for rate limits by user",
				slot: value(func(f *ForwardAuth) any { return &f.UserHeader }),
			},
			{
				Name: "timeout-secs", Kind: Seconds, Unit: "seconds", Max: 60, Default: "5", Label: "time for an answer", Doc: "how long it may take altogether",
				slot: value(func(f *ForwardAuth) any { return &f.Timeout }),
			},
			{
				Name: "max-response", Kind: Size, Unit: "bytes", Min: 1, Max: 16 << 20, Default: "64KiB", Label: "longest answer", Doc: "content of an answer; a longer one is no answer",
				slot: value(func(f *ForwardAuth) any { return &f.MaxResponseBytes }),
			},
			{
				Name: "on-error", Kind: Enum, Words: []string{"deny", "allow"}, Default: "deny",
				Doc:  "what becomes of requests while the service fails: answered 503, or let through unasked, which is counted",
				slot: value(func(f *ForwardAuth) any { return &f.OnError }),
			},
		},
		finish: finishForwardAuth,
	}
}

func finishForwardAuth(d *decoder, b any) {
	f := b.(*ForwardAuth)
	if f.Mode.V != "off" && !d.tried(f, "upstream") {
		d.errorAt(f.From, "forward-auth needs upstream").hint("name the upstream that is the service, or write mode \"off\"")
	}
}

func checkSidePath(s string) (problem, hint string) {
	if !strings.HasPrefix(s, "/") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 127 || r == '#' }) {
		return "is no path", "start with /, and escape what isn't ASCII"
	}
	return "", ""
}

func checkSideMethod(s string) (problem, hint string) {
	if s != "GET" && s != "HEAD" && s != "POST" {
		return "is no method to ask by", "use GET, HEAD or POST"
	}
	return "", ""
}
