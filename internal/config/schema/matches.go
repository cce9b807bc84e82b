package schema

// Matches says which requests a route takes. Values of one key are
// alternatives, and so are Paths, PathPrefixes and PathRegexes together; all
// the other conditions must hold at once. A condition without values always
// holds.
type Matches struct {
	Block
	Hosts        []Value[string] // lower case, without port; "*.example.com" takes any name below
	Paths        []Value[string] // the whole path
	PathPrefixes []Value[string] // on segment boundaries
	PathRegexes  []Value[string] // RE2
	Methods      []Value[string]
	SNI          []Value[string] // server names of TLS; such a route takes streams
	Headers      []*FieldMatch   // all must hold
	Queries      []*FieldMatch   // all must hold
}

// FieldMatch is a condition on a header field or on a query parameter. With
// neither Value nor Regex set its presence is enough.
type FieldMatch struct {
	Block
	Name  Value[string]
	Value Value[string]
	Regex Value[string] // RE2; header fields only
}

func matchBlocks() []blockDef {
	return []blockDef{{
		name: "matches",
		doc: "Which requests a route takes. Several values of one key are alternatives, and path, path-prefix and path-regex are alternatives of each other; " +
			"different conditions must all hold, and so must every header and every query.",
		keys: []Key{
			{
				Name: "host", Kind: Texts, Many: true, check: checkHost, Doc: "host names without regard to case; `*.example.com` takes every name below",
				slot: value(func(m *Matches) any { return &m.Hosts }),
			},
			{
				Name: "path", Kind: Texts, Many: true, check: checkPath, Doc: "whole paths",
				slot: value(func(m *Matches) any { return &m.Paths }),
			},
			{
				Name: "path-prefix", Kind: Texts, Many: true, check: checkPath, Doc: "beginnings of paths, on segment boundaries: `/api` takes `/api` and `/api/x`, not `/apix`",
				slot: value(func(m *Matches) any { return &m.PathPrefixes }),
			},
			{
				Name: "path-regex", Kind: Regexes, Many: true, Doc: "RE2 regular expressions for paths, unanchored",
				slot: value(func(m *Matches) any { return &m.PathRegexes }),
			},
			{
				Name: "method", Kind: Texts, Many: true, check: checkMethod, Doc: "request methods, case-sensitive",
				slot: value(func(m *Matches) any { return &m.Methods }),
			},
			{
				Name: "sni", Kind: Texts, Many: true, check: checkStreamName,
				Doc:  "server names that TLS asks for, at listeners with protocol \"tcp\"; `*.example.com` takes every name below. Such a route takes streams and no requests",
				slot: value(func(m *Matches) any { return &m.SNI }),
			},
			{
				Name: "header", Kind: Opens, Opens: "match header", Many: true, Doc: "a header field: `header \"NAME\"`, `header \"NAME\" \"VALUE\"` or `header \"NAME\" regex=\"RE2\"`",
				slot: several(func(m *Matches) *[]*FieldMatch { return &m.Headers }),
			},
			{
				Name: "query", Kind: Opens, Opens: "match query", Many: true, Doc: "a query parameter: `query \"NAME\"` or `query \"NAME\" \"VALUE\"`",
				slot: several(func(m *Matches) *[]*FieldMatch { return &m.Queries }),
			},
		},
	}, {
		name: "match header", doc: "A header field that must be there, or hold a value.",
		args: []string{"name", "value"}, keys: fieldMatchKeys(checkFieldName), finish: finishFieldMatch,
	}, {
		name: "match query", doc: "A query parameter that must be there, or hold a value.",
		args: []string{"name", "value"}, keys: fieldMatchKeys(nil)[:2],
	}}
}

func fieldMatchKeys(name func(string) (string, string)) []Key {
	return []Key{
		{
			Name: "name", Kind: Text, Required: true, check: name, Doc: "its name",
			slot: value(func(f *FieldMatch) any { return &f.Name }),
		},
		{
			Name: "value", Kind: Text, Doc: "the whole value, case-sensitive",
			slot: value(func(f *FieldMatch) any { return &f.Value }),
		},
		{
			Name: "regex", Kind: Regex, Doc: "an RE2 regular expression that the value matches, unanchored",
			slot: value(func(f *FieldMatch) any { return &f.Regex }),
		},
	}
}

func finishFieldMatch(d *decoder, b any) {
	f := b.(*FieldMatch)
	if f.Value.IsSet() && f.Regex.IsSet() {
		d.errorAt(f.Regex.From, "value and regex exclude each other").
			hint("keep one of them").related(f.Value.From, "the value is here")
	}
}
