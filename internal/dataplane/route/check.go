package route

import (
	"fmt"
	"net/netip"
	"strings"
)

// CanonicalPath returns the form in which requests for a path of a configuration are
// matched, under every policy that lets it pass: as Canonicalise makes it. The error says
// that no request can have such a path, or only under a policy that a table can't know of:
// one with dot segments.
func CanonicalPath(path string) (string, error) {
	p := PathPolicy{EncodedSlash: Keep, Backslash: Keep, DoubleSlash: Keep}
	out, err := Canonicalise(nil, []byte(path), &p)
	return string(out), err
}

// canonicalOrSame returns path itself where it has no canonical form: then nothing
// matches it.
func canonicalOrSame(path string) string {
	if out, err := CanonicalPath(path); err == nil && path != "" {
		return out
	}
	return path
}

// CheckHost returns an error unless pattern can stand in Rule.Hosts and match a request.
func CheckHost(pattern string) error {
	if pattern == "*" {
		return nil
	}
	name, _ := strings.CutPrefix(pattern, "*.")
	if inner, ok := strings.CutPrefix(name, "["); ok {
		return checkAddress(pattern, strings.TrimSuffix(inner, "]"))
	}
	name = strings.TrimSuffix(name, ".")
	switch {
	case strings.Contains(name, "*"):
		return fmt.Errorf("host %q: the wildcard is the whole first label, as in *.example.com", pattern)
	case strings.Count(name, ":") > 1:
		return fmt.Errorf("host %q: an IPv6 address stands in brackets", pattern)
	case strings.Contains(name, ":"):
		return fmt.Errorf("host %q: ports are not looked at; leave it out", pattern)
	case len(name) > hostBytesMax:
		return fmt.Errorf("host %q is longer than %d bytes", pattern, hostBytesMax)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return fmt.Errorf("host %q has an empty label", pattern)
		}
		for i := range len(label) {
			if !hostChar(label[i]) {
				return fmt.Errorf("host %q holds %q; names outside of ASCII are written in their xn-- form", pattern, label[i:i+1])
			}
		}
	}
	return nil
}

// checkAddress checks the address of a pattern in brackets.
func checkAddress(pattern, address string) error {
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is6() || a.Zone() != "" || strings.HasPrefix(pattern, "*") || !strings.HasSuffix(pattern, "]") {
		return fmt.Errorf("host %q is no IPv6 address in brackets", pattern)
	}
	if want := "[" + a.String() + "]"; !strings.EqualFold(want, pattern) {
		return fmt.Errorf("host %q: clients write it as %q", pattern, want)
	}
	return nil
}

// hostChar reports whether c may stand in a label (RFC 3986 section 3.2.2, reg-name,
// without escapes).
func hostChar(c byte) bool { return unreserved(c) || strings.IndexByte("!$&'()+,;=", c) >= 0 }
