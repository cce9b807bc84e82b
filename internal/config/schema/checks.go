package schema

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The checks of single texts: each returns what is wrong with one, as the end of a
// sentence that starts with key and value, and how to mend it; nothing when it is right.

// nameBytesMax bounds names: they are label values and appear in every log line.
const nameBytesMax = 128

func checkName(s string) (problem, hint string) {
	if len(s) > nameBytesMax {
		return "is longer than 128 bytes", "shorten it"
	}
	if s == "-" {
		return "stands for requests without a route in metrics", "use another name"
	}
	if strings.ContainsAny(s, "\"\\,{}") || strings.ContainsFunc(s, unicode.IsSpace) {
		return "holds a space or one of \" \\ , { }", "use letters, digits, - _ . : /"
	}
	return "", ""
}

// checkReplacement checks what takes the place of a part of a path.
func checkReplacement(s string) (problem, hint string) {
	if strings.ContainsAny(s, "?#\\") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 127 }) {
		return "holds a character that a path can't hold", "escape it, such as a space by %20"
	}
	return "", ""
}

func checkFile(s string) (problem, hint string) {
	if strings.ContainsRune(s, 0) {
		return "holds a NUL byte", "remove it"
	}
	return "", ""
}

func checkPath(s string) (problem, hint string) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "doesn't start with /", "write " + strconv.Quote("/"+s)
	case strings.ContainsAny(s, "?#"):
		return "holds ? or #", "a path has neither; match the query by `query`"
	case strings.ContainsAny(s, " \\"):
		return "holds a space or a backslash", "paths are matched in their canonical form, in which a space is %20"
	case strings.Contains(s, "//"):
		return "holds //", "paths are matched in their canonical form, in which slashes are merged"
	case slices.Contains(strings.Split(s, "/"), "..") || slices.Contains(strings.Split(s, "/"), "."):
		return "holds a dot segment", "paths are matched in their canonical form, in which . and .. are resolved"
	}
	return "", ""
}

func checkHost(s string) (problem, hint string) {
	name := strings.TrimPrefix(s, "*.")
	switch {
	case s == "*":
		return "takes every host", "leave the condition out"
	case strings.Contains(name, "*"):
		return "has its * in the wrong place", `a wildcard is the first label only: "*.example.com"`
	case strings.Contains(name, "/"):
		return "is no host name", "write it without scheme and path"
	case strings.HasPrefix(name, "["), strings.Count(name, ":") > 1:
		inner, ok := strings.CutPrefix(s, "[")
		inner, closed := strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); err != nil || !ok || !closed || !a.Is6() {
			return "is no host name", "an IPv6 address stands in brackets: \"[::1]\""
		}
		return "", ""
	case strings.Contains(name, ":"):
		return "has a port", "write the name only; a route takes every port of its listeners"
	case name == "" || len(name) > 253 || strings.ContainsAny(name, " \"\\?#@"):
		return "is no host name", `write one such as "api.example.com"`
	}
	return "", ""
}

func checkListen(s string) (problem, hint string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "is no address", `write HOST:PORT, such as "0.0.0.0:8080" or "[::]:8080"`
	}
	if _, err := netip.ParseAddr(host); host != "" && host != "localhost" && err != nil {
		return "has a host that is no IP address", "listen on an address of this machine, or on 0.0.0.0"
	}
	return checkPort(port, 0)
}

func checkTarget(s string) (problem, hint string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "is no address", `write HOST:PORT, such as "10.0.0.1:8080"`
	}
	if host == "" || strings.ContainsAny(host, " /\"\\@") {
		return "has no usable host", `write HOST:PORT, such as "10.0.0.1:8080"`
	}
	return checkPort(port, 1)
}

func checkPort(port string, least int) (problem, hint string) {
	n, err := strconv.Atoi(port)
	switch {
	case port == "":
		return "has no port", "add one, such as :8080"
	case err != nil || strconv.Itoa(n) != port:
		return "has the port " + strconv.Quote(port) + ", which is no number", "ports go from 1 to 65535"
	case n < least || n > 65535:
		return "has port " + port + ", which is out of range", "ports go from 1 to 65535"
	}
	return "", ""
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 127 || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
}

func checkMethod(s string) (problem, hint string) {
	if !isToken(s) {
		return "is no method", "methods are tokens such as GET (RFC 9110, section 9)"
	}
	if strings.ToUpper(s) != s {
		return "is not in upper case", "methods are case-sensitive: write " + strings.ToUpper(s)
	}
	if s == "CONNECT" {
		return "never gets to a route", "the proxy refuses it always"
	}
	return "", ""
}

func checkFieldName(s string) (problem, hint string) {
	if !isToken(s) {
		return "is no header name", "names are tokens such as X-Api (RFC 9110, section 5.1)"
	}
	return "", ""
}

// framing lists the fields that frame a message or concern one connection.
var framing = []string{
	"connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
	"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

func checkEditedField(s string) (problem, hint string) {
	if !isToken(s) {
		return checkFieldName(s)
	}
	if slices.Contains(framing, foldName(s)) {
		return "frames the message or is about the connection", "the proxy sets it itself; it can't be edited"
	}
	return "", ""
}

func checkOwnField(s string) (problem, hint string) { return checkEditedField(s) }

func checkLocation(s string) (problem, hint string) {
	if !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "${") {
		return "is no location", `start with https://, http:// or /`
	}
	return "", ""
}

func checkRedirectStatus(s string) (problem, hint string) {
	if !slices.Contains([]string{"301", "302", "303", "307", "308"}, s) {
		return "is no redirect", "use 301, 302, 303, 307 or 308"
	}
	return "", ""
}

func checkStickyKey(s string) (problem, hint string) {
	kind, name, _ := strings.Cut(s, ":")
	switch {
	case s == "client_ip":
	case (kind == "header" || kind == "cookie") && isToken(name):
	default:
		return "is no key", "use client_ip, header:NAME or cookie:NAME"
	}
	return "", ""
}

func checkLimitKey(s string) (problem, hint string) {
	kind, name, _ := strings.Cut(s, ":")
	switch {
	case slices.Contains([]string{"client_ip", "path", "route", "host", "method", "listener", "user"}, s):
	case kind == "jwt" && name != "":
	case (kind == "header" || kind == "cookie") && isToken(name):
	default:
		return "is no key", "use client_ip, path, route, host, method, listener, header:NAME, cookie:NAME, user or jwt:CLAIM"
	}
	return "", ""
}

func checkHashKey(s string) (problem, hint string) {
	kind, name, _ := strings.Cut(s, ":")
	switch {
	case s == "client_ip" || s == "path" || s == "host":
	case (kind == "header" || kind == "cookie") && isToken(name):
	case kind == "query" && name != "":
	default:
		return "is no key", "use client_ip, path, host, header:NAME, cookie:NAME or query:NAME"
	}
	return "", ""
}

func checkCookieName(s string) (problem, hint string) {
	if !isToken(s) {
		return "is no name of a cookie", "names are tokens such as sentinel_target (RFC 6265, section 4.1.1)"
	}
	return "", ""
}

func checkCookiePath(s string) (problem, hint string) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "doesn't start with /", "write " + strconv.Quote("/"+s)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 127 || r == ';' }):
		return "holds a character that a cookie's path can't hold", "escape it, such as a space by %20"
	}
	return "", ""
}

func checkSRV(s string) (problem, hint string) {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	if len(s) > 253 || len(labels) < 3 || !strings.HasPrefix(labels[0], "_") || !strings.HasPrefix(labels[1], "_") ||
		slices.ContainsFunc(labels, func(l string) bool { return strings.Trim(l, "_") == "" || len(l) > 63 }) || strings.ContainsAny(s, " :/\"\\@") {
		return "is no name of SRV records", `write one such as "_http._tcp.example.com" (RFC 2782)`
	}
	return "", ""
}

func checkService(s string) (problem, hint string) {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 127 }) {
		return "is no name of a service", `write one such as "shop.Cart"`
	}
	return "", ""
}

func checkResolver(s string) (problem, hint string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "is no address", `write IP:PORT, such as "10.0.0.53:53"`
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "has a host that is no IP address", `name servers are given by address, such as "10.0.0.53:53"`
	}
	return checkPort(port, 1)
}

func foldName(s string) string { return strings.ToLower(s) }
