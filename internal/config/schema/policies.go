package schema

// Policies are what is done to every request and response of a route.
type Policies struct {
	Block
	RequestHeaders  HeaderEdits
	ResponseHeaders HeaderEdits
	RateLimits      []*RateLimit
	BasicAuth       *BasicAuth // nil when not written, as those that follow
	JWTAuth         *JWTAuth
	ForwardAuth     *ForwardAuth
	CORS            *CORS
	SecurityHeaders *SecurityHeaders
}

// HeaderEdits are changes to the header of a message, carried out in the
// order Rename, Remove, Set, Add.
type HeaderEdits struct {
	Block
	Rename []Rename
	Remove []Value[string]
	Set    []Edit
	Add    []Edit
}

// Edit is a header field to set or add. Names keep the spelling of the
// configuration and compare without regard to case.
type Edit struct {
	Name  string
	Value Pattern
	From  Origin
}

// Rename gives a header field another name.
type Rename struct {
	Old, New string
	From     Origin
}

func policyBlocks() []blockDef {
	return []blockDef{
		{
			name: "policies",
			doc:  "What is done to every request and response. At top level it is the default of every route; the nearest block wins, of header edits for each header name.",
			keys: []Key{
				{
					Name: "request-headers", Kind: Opens, Opens: "request-headers", Doc: "changes to the header sent to the upstream",
					slot: value(func(p *Policies) any { return &p.RequestHeaders }),
				},
				{
					Name: "response-headers", Kind: Opens, Opens: "response-headers", Doc: "changes to the header sent to the client",
					slot: value(func(p *Policies) any { return &p.ResponseHeaders }),
				},
				{
					Name: "rate-limit", Kind: Opens, Opens: "rate-limit", Many: true, Doc: "rate limit",
					slot: several(func(p *Policies) *[]*RateLimit { return &p.RateLimits }),
				},
				{
					Name: "basic-auth", Kind: Opens, Opens: "basic-auth", Doc: "names and passwords",
					slot: optional(func(p *Policies) **BasicAuth { return &p.BasicAuth }),
				},
				{
					Name: "jwt-auth", Kind: Opens, Opens: "jwt-auth", Doc: "signed tokens",
					slot: optional(func(p *Policies) **JWTAuth { return &p.JWTAuth }),
				},
				{
					Name: "forward-auth", Kind: Opens, Opens: "forward-auth", Doc: "a service that decides",
					slot: optional(func(p *Policies) **ForwardAuth { return &p.ForwardAuth }),
				},
				{
					Name: "cors", Kind: Opens, Opens: "cors", Doc: "which other origins' scripts may read responses",
					slot: optional(func(p *Policies) **CORS { return &p.CORS }),
				},
				{
					Name: "security-headers", Kind: Opens, Opens: "security-headers", Doc: "fields that tell browsers to be careful",
					slot: optional(func(p *Policies) **SecurityHeaders { return &p.SecurityHeaders }),
				},
			},
		},
		headerEditsBlock("request-headers", "Changes to the header sent to the upstream"),
		headerEditsBlock("response-headers", "Changes to the header sent to the client"),
		basicAuthBlock(), jwtAuthBlock(), forwardAuthBlock(), corsBlock(), securityHeadersBlock(),
	}
}

func headerEditsBlock(name, doc string) blockDef {
	return blockDef{
		name: name,
		doc:  doc + ", carried out in the order rename, remove, set, add. Names compare without regard to case; fields that frame the message can't be named.",
		keys: []Key{
			{
				Name: "rename", Kind: Renames, Many: true, check: checkEditedField, Doc: "`rename { \"Old\" \"New\" }` or `rename \"Old\" \"New\"`",
				slot: value(func(h *HeaderEdits) any { return &h.Rename }),
			},
			{
				Name: "remove", Kind: Texts, Many: true, check: checkEditedField, Doc: "fields to take away",
				slot: value(func(h *HeaderEdits) any { return &h.Remove }),
			},
			{
				Name: "set", Kind: Edits, Many: true, check: checkEditedField, Doc: "`set { \"NAME\" \"VALUE\" }` or `set \"NAME\" \"VALUE\"`: replaces all fields of that name",
				slot: value(func(h *HeaderEdits) any { return &h.Set }),
			},
			{
				Name: "add", Kind: Edits, Many: true, check: checkEditedField, Doc: "spelled like set: adds one more field",
				slot: value(func(h *HeaderEdits) any { return &h.Add }),
			},
		},
		finish: finishHeaderEdits,
	}
}

// finishHeaderEdits refuses a name that is set or renamed twice.
func finishHeaderEdits(d *decoder, b any) {
	h := b.(*HeaderEdits)
	set := make(map[string]Origin)
	for _, e := range h.Set {
		d.once(set, foldName(e.Name), e.From, "set", e.Name)
	}
	renamed := make(map[string]Origin)
	for _, r := range h.Rename {
		d.once(renamed, foldName(r.Old), r.From, "rename", r.Old)
	}
}

func (d *decoder) once(seen map[string]Origin, folded string, from Origin, op, name string) {
	if first, twice := seen[folded]; twice {
		d.errorAt(from, "%s names header %q twice", op, name).hint("keep one of them").related(first, "the first one is here")
		return
	}
	seen[folded] = from
}
