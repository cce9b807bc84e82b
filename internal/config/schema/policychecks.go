package schema

import (
	"path/filepath"
	"slices"
	"strings"
)

// AccessPolicies are the policies that hold for a route; nil is none.
type AccessPolicies struct {
	BasicAuth       *BasicAuth
	JWTAuth         *JWTAuth
	ForwardAuth     *ForwardAuth
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
		JWTAuth:         nearestPolicy(own.JWTAuth, p.JWTAuth, func(j *JWTAuth) string { return j.Mode.V }),
		ForwardAuth:     nearestPolicy(own.ForwardAuth, p.ForwardAuth, func(f *ForwardAuth) string { return f.Mode.V }),
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
		if j := p.JWTAuth; j != nil {
			anchor(&j.JWKSFile)
			anchor(&j.SecretFile)
		}
	}
}

// policies reports what can't be together in one route, and limits that nobody could fall
// under.
func (d *decoder) policies(c *Config) {
	told := make(map[*JWTAuth]bool)
	for _, r := range c.Routes {
		p := EffectivePolicies(c, r)
		if b, j := p.BasicAuth, p.JWTAuth; b != nil && j != nil && !told[j] && (!j.TokenFrom.IsSet() || strings.EqualFold(j.TokenFrom.V, "header:Authorization")) {
			told[j] = true
			d.errorAt(j.From, "route %q wants both a password and a token in Authorization", r.Name.V).
				hint(`write mode "off" for one of them in the route, or read the token from elsewhere: token-from "cookie:NAME"`).related(b.From, "basic-auth is here")
		}
		if p.BasicAuth == nil && p.JWTAuth == nil && p.ForwardAuth == nil {
			d.namelessLimits(r)
		}
	}
}

// namelessLimits reports limits of a route that go by who the client is where nobody asks.
func (d *decoder) namelessLimits(r *Route) {
	for _, l := range r.RateLimits {
		for _, k := range l.Key {
			if NeedsIdentity(k.V) && k.From.Kind == Written {
				d.errorAt(k.From, "key %q counts nobody in route %q, where no policy asks who the client is", k.V, r.Name.V).
					hint("add basic-auth, jwt-auth or forward-auth to its policies")
			}
		}
	}
}

// NeedsIdentity reports whether a part of a rate limit's key is known only once the client has
// proved who it is.
func NeedsIdentity(part string) bool { return part == "user" || strings.HasPrefix(part, "jwt:") }

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
