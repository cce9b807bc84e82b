package schema

import (
	"path/filepath"
	"slices"
	"strings"
)

// AccessPolicies are the policies that hold for a route; nil is none.
type AccessPolicies struct {
	BasicAuth       *BasicAuth
	CORS            *CORS
	SecurityHeaders *SecurityHeaders
}

// EffectivePolicies returns what holds for requests of a route, or, with nil, where no route
// has been found: of each policy the nearest block, unless that says off.
func EffectivePolicies(c *Config, r *Route) AccessPolicies {
	p := &c.Policies
	own := &Policies{}
	if r != nil {
		own = &r.Policies
	}
	return AccessPolicies{
		BasicAuth:       nearestPolicy(own.BasicAuth, p.BasicAuth, func(b *BasicAuth) string { return b.Mode.V }),
		CORS:            nearestPolicy(own.CORS, p.CORS, func(b *CORS) string { return b.Mode.V }),
		SecurityHeaders: nearestPolicy(own.SecurityHeaders, p.SecurityHeaders, func(b *SecurityHeaders) string { return b.Preset.V }),
	}
}

func nearestPolicy[P any](own, above *P, mode func(*P) string) *P {
	if own == nil {
		own = above
	}
	if own != nil && mode(own) == "off" {
		return nil
	}
	return own
}

// policyFiles makes the files that policies name relative to the files that name them.
func (l *loader) policyFiles() {
	for _, p := range allPolicies(l.cfg) {
		if b := p.BasicAuth; b != nil {
			anchor(&b.UsersFile)
		}
	}
}

func allPolicies(c *Config) []*Policies {
	all := []*Policies{&c.Policies}
	for _, r := range c.Routes {
		all = append(all, &r.Policies)
	}
	return all
}

func anchor(file *Value[string]) {
	if file.V != "" && !filepath.IsAbs(file.V) {
		file.V = filepath.Join(filepath.Dir(file.From.File), file.V)
	}
}

// protectedFields are fields that the proxy writes itself, or that carry what policies read.
var protectedFields = []string{
	"authorization", "cookie", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip",
}

// checkIdentityField checks the name of a field that tells the upstream who the client is.
func checkIdentityField(s string) (problem, hint string) {
	if slices.Contains(protectedFields, strings.ReplaceAll(strings.ToLower(s), "_", "-")) {
		return "is written by the proxy, or read by it", "use a name of your own, such as X-User"
	}
	return checkEditedField(s)
}

// checkRealm checks a text that stands in quotes in a challenge (RFC 9110 section 11.5).
func checkRealm(s string) (problem, hint string) {
	if strings.ContainsAny(s, `"\`) {
		return "holds a quote or backslash", "leave it away"
	}
	return checkFieldValue(s)
}
