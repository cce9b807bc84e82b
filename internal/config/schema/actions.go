package schema

// Split shares the requests of a route between upstreams by weight.
type Split struct {
	Block
	Upstreams []*SplitUpstream
	StickyKey Value[string] // "client_ip", "header:NAME" or "cookie:NAME"; unset: each request anew
}

// SplitUpstream is one upstream of a Split.
type SplitUpstream struct {
	Block
	Name   Value[string]
	Weight Value[int64]
}

// Redirect sends the client elsewhere.
type Redirect struct {
	Block
	To     Value[Pattern]
	Status Value[int64]
}

// Respond is a fixed response.
type Respond struct {
	Block
	Status      Value[int64]
	Body        Value[string]
	ContentType Value[string]
}

// Rewrite changes the path before it is sent; exactly one field is set.
type Rewrite struct {
	Block
	StripPrefix   Value[string]
	ReplacePrefix Value[Pair]
	PathRegex     Value[Pair] // RE2 pattern, replacement with $1
}

func actionBlocks() []blockDef {
	return []blockDef{splitBlock(), {
		name: "split upstream", doc: "One upstream of a split: `upstream \"NAME\" weight=90`.",
		args: []string{"name"},
		keys: []Key{
			{
				Name: "name", Kind: Text, Required: true, ArgOnly: true, check: checkName, Doc: "name of the upstream",
				slot: value(func(s *SplitUpstream) any { return &s.Name }),
			},
			{
				Name: "weight", Kind: Int, Min: 0, Max: 1000000, Default: "1", Doc: "its share; 0 sends it nothing",
				slot: value(func(s *SplitUpstream) any { return &s.Weight }),
			},
		},
	}, {
		name: "redirect", doc: "Sends the client elsewhere: `redirect \"https://${host}${path}\" status=301`, or as a block.",
		args: []string{"to"},
		keys: []Key{
			{
				Name: "to", Kind: Template, Required: true, check: checkLocation, Doc: "the Location field; variables as in header values, the `?` of `?${query}` is left out without a query",
				slot: value(func(r *Redirect) any { return &r.To }),
			},
			{
				Name: "status", Kind: Int, Words: nil, Min: 301, Max: 308, Default: "302", check: checkRedirectStatus,
				Doc: "301, 302, 303, 307 or 308; browsers keep 301 and 308 for long", slot: value(func(r *Redirect) any { return &r.Status }),
			},
		},
	}, {
		name: "respond", doc: "Answers without an upstream: `respond 404 \"nothing here\"`, or as a block.",
		args: []string{"status", "body"},
		keys: []Key{
			{
				Name: "status", Kind: Int, Min: 200, Max: 599, Default: "200", Doc: "status code",
				slot: value(func(r *Respond) any { return &r.Status }),
			},
			{
				Name: "body", Kind: Text, anyRaw: true, Doc: "the content; none without this key",
				slot: value(func(r *Respond) any { return &r.Body }),
			},
			{
				Name: "content-type", Kind: Text, Default: "text/plain; charset=utf-8", Doc: "the Content-Type field, sent with a body",
				slot: value(func(r *Respond) any { return &r.ContentType }),
			},
		},
		finish: finishRespond,
	}, {
		name: "rewrite", doc: "Changes the path before it is sent; exactly one of the keys. The query stays as it is.",
		keys: []Key{
			{
				Name: "strip-prefix", Kind: Text, check: checkPath, Doc: "a prefix to take away, on a segment boundary",
				slot: value(func(r *Rewrite) any { return &r.StripPrefix }),
			},
			{
				Name: "replace-prefix", Kind: TwoTexts, check: checkPath, Doc: "a prefix and what stands in its place: `replace-prefix \"/v1\" \"/v2\"`",
				slot: value(func(r *Rewrite) any { return &r.ReplacePrefix }),
			},
			{
				Name: "path-regex", Kind: TwoTexts, inserts: orGroup, Doc: "an RE2 regular expression and what replaces its matches; `$1` is its first group",
				slot: value(func(r *Rewrite) any { return &r.PathRegex }),
			},
		},
		finish: finishRewrite,
	}}
}

func splitBlock() blockDef {
	return blockDef{
		name: "split", doc: "Several upstreams that share the requests of a route by weight.",
		keys: []Key{
			{
				Name: "upstream", Kind: Opens, Opens: "split upstream", Many: true, Required: true, Doc: "one of the upstreams",
				slot: several(func(s *Split) *[]*SplitUpstream { return &s.Upstreams }),
			},
			{
				Name: "sticky-key", Kind: Text, check: checkStickyKey,
				Doc:  "what keeps a client with one upstream: `client_ip`, `header:NAME` or `cookie:NAME`; without it each request is dealt anew",
				slot: value(func(s *Split) any { return &s.StickyKey }),
			},
		},
		finish: finishSplit,
	}
}

func finishSplit(d *decoder, b any) {
	s := b.(*Split)
	sum, seen := int64(0), make(map[string]Origin)
	for _, u := range s.Upstreams {
		if !u.Weight.IsSet() {
			sum++ // the default
		}
		sum += u.Weight.V
		if first, twice := seen[u.Name.V]; twice {
			d.errorAt(u.From, "upstream %q stands twice in split", u.Name.V).
				hint("add its weights").related(first, "the first one is here")
			continue
		}
		seen[u.Name.V] = u.From
	}
	if len(s.Upstreams) > 0 && sum == 0 {
		d.errorAt(s.From, "all weights of the split are 0").hint("give one upstream a weight above 0")
	}
}

func finishRespond(d *decoder, b any) {
	r := b.(*Respond)
	if r.Body.IsSet() && (r.Status.V == 204 || r.Status.V == 304) {
		d.errorAt(r.Body.From, "a response with status %d has no body", r.Status.V).
			hint("remove the body (RFC 9110, section 6.4.1)").related(r.Status.From, "the status is here")
	}
	if r.ContentType.IsSet() && !r.Body.IsSet() {
		d.errorAt(r.ContentType.From, "content-type has no effect without a body").hint("add a body or remove it")
	}
}

func finishRewrite(d *decoder, b any) {
	r := b.(*Rewrite)
	var set []sourcedKey
	for _, k := range []sourcedKey{
		{"strip-prefix", r.StripPrefix.From}, {"replace-prefix", r.ReplacePrefix.From}, {"path-regex", r.PathRegex.From},
	} {
		if k.from.IsSet() {
			set = append(set, k)
		}
	}
	switch {
	case len(set) == 0 && !d.tried(r, ""):
		d.errorAt(r.From, "rewrite is empty").hint("add one of strip-prefix, replace-prefix and path-regex")
	case len(set) > 1:
		d.errorAt(set[1].from, "rewrite has both %s and %s", set[0].name, set[1].name).
			hint("keep one of them").related(set[0].from, "the first one is here")
	}
	if r.PathRegex.IsSet() {
		d.checkRegex(r.PathRegex.V.From, r.PathRegex.From, "path-regex")
	}
}
