package schema

import "strings"

// SecurityHeaders are fields that tell browsers to be careful. A text is "off" where the
// preset's field isn't sent.
type SecurityHeaders struct {
	Block
	Preset             Value[string] // "basic", "strict", "api" or "off"
	HSTS               Value[string]
	ContentTypeOptions Value[string]
	ReferrerPolicy     Value[string]
	CSP                Value[string]
	FrameAncestors     Value[string]
	PermissionsPolicy  Value[string]
	COOP, CORP         Value[string]
	Remove             []Value[string]
}

func securityHeadersBlock() blockDef {
	text := func(name, doc string, field func(*SecurityHeaders) *Value[string]) Key {
		return Key{Name: name, Kind: Text, Doc: doc + "; `off` sends none", check: checkFieldValue, slot: value(func(s *SecurityHeaders) any { return field(s) })}
	}
	return blockDef{
		name: "security-headers",
		doc: "Response fields that tell browsers to be careful: `security-headers \"basic\"`, for pages that weren't written for them, `\"strict\"` or `\"api\"`, each with changes in its block. " +
			"They are on every response, those of the proxy included. What is written here replaces what the upstream sends, and so do nosniff and HSTS of a preset; " +
			"else the upstream's own field wins. The nearest block holds as a whole. See [access-control.md](../access-control.md).",
		args: []string{"preset"},
		keys: []Key{
			{
				Name: "preset", Kind: Enum, Words: []string{"basic", "strict", "api", "off"}, Required: true,
				Doc: "which fields are sent; off lifts the block of the top level", slot: value(func(s *SecurityHeaders) any { return &s.Preset }),
			},
			text("strict-transport-security", "sent to clients that use TLS, such as `max-age=31536000`", func(s *SecurityHeaders) *Value[string] { return &s.HSTS }),
			text("x-content-type-options", "`nosniff`", func(s *SecurityHeaders) *Value[string] { return &s.ContentTypeOptions }),
			text("referrer-policy", "how much of an address links tell", func(s *SecurityHeaders) *Value[string] { return &s.ReferrerPolicy }),
			text("content-security-policy", "what a page may load and run", func(s *SecurityHeaders) *Value[string] { return &s.CSP }),
			text("frame-ancestors", "`none` or `self`: who may show the page in a frame, as part of a preset's Content-Security-Policy and as X-Frame-Options", func(s *SecurityHeaders) *Value[string] { return &s.FrameAncestors }),
			text("permissions-policy", "which powers of the device a page has", func(s *SecurityHeaders) *Value[string] { return &s.PermissionsPolicy }),
			text("cross-origin-opener-policy", "whether windows of other origins keep hold of a page", func(s *SecurityHeaders) *Value[string] { return &s.COOP }),
			text("cross-origin-resource-policy", "which origins may load the resource", func(s *SecurityHeaders) *Value[string] { return &s.CORP }),
			{
				Name: "remove", Kind: Texts, Many: true, check: checkEditedField,
				Doc: "fields of the upstream that tell what it is made of; without it Server and X-Powered-By", slot: value(func(s *SecurityHeaders) any { return &s.Remove }),
			},
		},
		finish: finishSecurityHeaders,
	}
}

// finishSecurityHeaders reports what contradicts itself.
func finishSecurityHeaders(d *decoder, b any) {
	s := b.(*SecurityHeaders)
	switch f := s.FrameAncestors; {
	case !f.IsSet():
	case f.V != "none" && f.V != "self" && f.V != "off":
		d.errorAt(f.From, "frame-ancestors doesn't know %q", f.V).hint(`use "none", "self" or "off"; for more write content-security-policy`)
	case s.CSP.IsSet() && s.CSP.V != "off":
		d.errorAt(f.From, "frame-ancestors has no effect beside content-security-policy").
			hint("write it into content-security-policy").related(s.CSP.From, "it is here")
	}
	if c := s.ContentTypeOptions; c.IsSet() && c.V != "nosniff" && c.V != "off" {
		d.errorAt(c.From, "x-content-type-options doesn't know %q", c.V).hint(`use "nosniff" or "off"`)
	}
}

func checkFieldValue(s string) (problem, hint string) {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 127 }) {
		return "holds characters that no field value has", "use printable ASCII alone"
	}
	return "", ""
}
