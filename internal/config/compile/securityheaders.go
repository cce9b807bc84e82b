package compile

import (
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/filter"
)

// preset is what security-headers sends without changes.
type preset struct{ hsts, referrer, csp, ancestors, permissions, coop, corp string }

// presets returns the presets by name.
func presets() map[string]preset {
	return map[string]preset{
		"basic": {hsts: "max-age=31536000", referrer: "strict-origin-when-cross-origin", ancestors: "self"},
		"strict": {
			hsts: "max-age=63072000; includeSubDomains", referrer: "no-referrer", ancestors: "none",
			csp:         "default-src 'self'; base-uri 'self'; form-action 'self'; object-src 'none'",
			permissions: "camera=(), geolocation=(), microphone=(), payment=(), usb=()", coop: "same-origin", corp: "same-origin",
		},
		"api": {hsts: "max-age=63072000; includeSubDomains", referrer: "no-referrer", csp: "default-src 'none'", ancestors: "none", corp: "same-origin"},
	}
}

// securityFields compiles one block: what is written replaces the upstream's field, what a
// preset brings yields to it, except for HSTS and nosniff.
func securityFields(s *schema.SecurityHeaders) *filter.Security {
	p := presets()[s.Preset.V]
	var fields []filter.SecurityField
	add := func(name string, written schema.Value[string], preset string, otherwise filter.Precedence) {
		f := filter.SecurityField{Name: name, Value: preset, Precedence: otherwise, TLSOnly: name == "Strict-Transport-Security"}
		if written.IsSet() {
			f.Value, f.Precedence = written.V, filter.Replaces
		}
		if f.Value != "" && f.Value != "off" {
			fields = append(fields, f)
		}
	}
	add("Strict-Transport-Security", s.HSTS, p.hsts, filter.Replaces)
	add("X-Content-Type-Options", s.ContentTypeOptions, "nosniff", filter.Replaces)
	add("Referrer-Policy", s.ReferrerPolicy, p.referrer, filter.Yields)
	add("Permissions-Policy", s.PermissionsPolicy, p.permissions, filter.Yields)
	add("Cross-Origin-Opener-Policy", s.COOP, p.coop, filter.Yields)
	add("Cross-Origin-Resource-Policy", s.CORP, p.corp, filter.Yields)
	fields = append(fields, contentPolicy(s, &p)...)
	remove := texts(s.Remove)
	if len(remove) == 0 {
		remove = []string{"Server", "X-Powered-By"}
	}
	return filter.NewSecurity(fields, remove)
}

// contentPolicy returns Content-Security-Policy and X-Frame-Options. Who may frame a page is
// part of the preset's policy; where it is written it is a policy of its own, beside which
// that of the upstream holds, too: browsers keep to both.
func contentPolicy(s *schema.SecurityHeaders, p *preset) []filter.SecurityField {
	const name = "Content-Security-Policy"
	var fields []filter.SecurityField
	ancestors, precedence := p.ancestors, filter.Yields
	if s.FrameAncestors.IsSet() {
		ancestors, precedence = s.FrameAncestors.V, filter.Replaces
	}
	csp := p.csp
	switch {
	case s.CSP.IsSet():
		csp = ""
		if s.CSP.V != "off" {
			fields = append(fields, filter.SecurityField{Name: name, Value: s.CSP.V, Precedence: filter.Replaces})
		}
	case ancestors != "off" && !s.FrameAncestors.IsSet():
		if csp != "" {
			csp += "; "
		}
		csp += "frame-ancestors '" + ancestors + "'"
	}
	if csp != "" {
		fields = append(fields, filter.SecurityField{Name: name, Value: csp, Precedence: filter.Yields})
	}
	if ancestors == "off" {
		return fields
	}
	if s.FrameAncestors.IsSet() {
		fields = append(fields, filter.SecurityField{Name: name, Value: "frame-ancestors '" + ancestors + "'", Precedence: filter.Adds})
	}
	options := map[string]string{"none": "DENY", "self": "SAMEORIGIN"}[ancestors]
	if !s.CSP.IsSet() || s.FrameAncestors.IsSet() {
		fields = append(fields, filter.SecurityField{Name: "X-Frame-Options", Value: options, Precedence: precedence})
	}
	return fields
}
