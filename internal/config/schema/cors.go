package schema

import (
	"slices"
	"strings"
)

// CORS says which other origins' scripts may read responses (Fetch standard, section 3.3).
type CORS struct {
	Block
	Mode          Value[string] // "enforce" or "off"
	Origins       []Value[string]
	Methods       []Value[string]
	Headers       []Value[string]
	ExposeHeaders []Value[string]
	Credentials   Value[bool]
	MaxAge        Value[int64] // seconds
}

func corsBlock() blockDef {
	return blockDef{
		name: "cors",
		doc: "Which other origins' scripts may read responses (CORS, of the Fetch standard). The proxy answers preflights itself, before it asks for credentials, and replaces what the upstream says of it. " +
			"The nearest block holds as a whole. See [access-control.md](../access-control.md).",
		keys: []Key{
			{
				Name: "mode", Kind: Enum, Words: []string{"enforce", "off"}, Default: "enforce", Doc: "off lifts the one of the top level",
				slot: value(func(c *CORS) any { return &c.Mode }),
			},
			{
				Name: "allow-origin", Kind: Texts, Many: true, check: checkOrigin,
				Doc:  "`https://app.example.com`, `https://*.example.com` for all names below that one, or `*` for everybody",
				slot: value(func(c *CORS) any { return &c.Origins }),
			},
			{
				Name: "allow-method", Kind: Texts, Many: true, check: checkCORSMethod, Doc: "methods beside GET, HEAD and POST, which always are; `*` for all",
				slot: value(func(c *CORS) any { return &c.Methods }),
			},
			{
				Name: "allow-header", Kind: Texts, Many: true, check: checkCORSField, Doc: "request fields that scripts may set; `*` for all but Authorization",
				slot: value(func(c *CORS) any { return &c.Headers }),
			},
			{
				Name: "expose-header", Kind: Texts, Many: true, check: checkCORSField, Doc: "response fields that scripts may read; `*` for all",
				slot: value(func(c *CORS) any { return &c.ExposeHeaders }),
			},
			{
				Name: "allow-credentials", Kind: Bool, Doc: "cookies and Authorization may be sent along; nothing may be `*` then",
				slot: value(func(c *CORS) any { return &c.Credentials }),
			},
			{
				Name: "max-age-secs", Aliases: []string{"max-age"}, Kind: Int, Unit: "seconds", Max: 86400, Default: "600", Label: "life of a preflight",
				Doc: "for how long browsers remember the answer to a preflight", slot: value(func(c *CORS) any { return &c.MaxAge }),
			},
		},
		finish: finishCORS,
	}
}

func finishCORS(d *decoder, b any) {
	c := b.(*CORS)
	if c.Mode.V != "off" && !d.tried(c, "allow-origin") {
		d.errorAt(c.From, "cors needs allow-origin").hint(`add allow-origin "https://app.example.com", or write mode "off"`)
	}
	if !c.Credentials.V {
		return
	}
	for _, k := range []struct {
		name string
		list []Value[string]
	}{{"allow-origin", c.Origins}, {"allow-method", c.Methods}, {"allow-header", c.Headers}, {"expose-header", c.ExposeHeaders}} {
		i := slices.IndexFunc(k.list, func(v Value[string]) bool { return v.V == "*" })
		if i >= 0 {
			d.errorAt(k.list[i].From, `%s "*" can't stand beside allow-credentials`, k.name).
				hint("name each one: browsers refuse the asterisk, and every site could act as the user").related(c.Credentials.From, "allow-credentials is here")
		}
	}
}

// checkOrigin checks an origin as browsers send it (RFC 6454 section 6.2).
func checkOrigin(s string) (problem, hint string) {
	if s == "*" || s == "null" {
		return "", ""
	}
	scheme, host, ok := strings.Cut(s, "://")
	bad := func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-.:[]", r)
	}
	switch name := strings.TrimPrefix(host, "*."); {
	case !ok || scheme == "" || name == "" || strings.ContainsFunc(scheme, func(r rune) bool { return (r < 'a' || r > 'z') && !strings.ContainsRune("+-.0123456789", r) }):
		return "is no origin", `write a scheme and a host, such as "https://app.example.com"`
	case strings.ContainsFunc(strings.ToLower(name), bad):
		return "is no origin", "write scheme, host and port alone, without a path; an asterisk stands only before the first dot"
	case host != name && !strings.Contains(name, "."):
		return "would let in a whole top-level domain", `name at least two labels behind the asterisk, such as "https://*.example.com"`
	case scheme == "https" && strings.HasSuffix(host, ":443"), scheme == "http" && strings.HasSuffix(host, ":80"):
		return "names the port that its scheme has anyway", "leave the port away: browsers do"
	}
	return "", ""
}

func checkCORSMethod(s string) (problem, hint string) {
	if s == "*" {
		return "", ""
	}
	return checkMethod(s)
}

func checkCORSField(s string) (problem, hint string) {
	if s == "*" {
		return "", ""
	}
	return checkFieldName(s)
}
