package schema

// BasicAuth asks for a name and a password (RFC 7617).
type BasicAuth struct {
	Block
	Mode               Value[string] // "enforce", "shadow" or "off"
	UsersFile          Value[string] // a relative one is taken from the file that names it
	Realm              Value[string]
	ForwardUser        Value[string] // field that tells the upstream the name; unset: none
	ForwardCredentials Value[bool]
	CacheEntries       Value[int64]
	CacheSecs          Value[int64]
	MaxChecks          Value[int64] // at once; unset: half of the processors
	MaxWaiting         Value[int64]
}

// modeKey is the key that says whether a policy acts.
func modeKey[B any](field func(*B) *Value[string]) Key {
	return Key{
		Name: "mode", Kind: Enum, Words: []string{"enforce", "shadow", "off"}, Default: "enforce",
		Doc:  "shadow checks, counts and logs what it would refuse, and does nothing; off lifts the one of the top level",
		slot: value(func(b *B) any { return field(b) }),
	}
}

func basicAuthBlock() blockDef {
	return blockDef{
		name: "basic-auth",
		doc: "Requests need a name and a password of a users file (RFC 7617). The nearest block holds as a whole. " +
			"The upstream doesn't see the password. See [access-control.md](../access-control.md).",
		keys: []Key{
			modeKey(func(b *BasicAuth) *Value[string] { return &b.Mode }),
			{
				Name: "users-file", Kind: Text, check: checkFile,
				Doc:  "lines of `name:hash` with bcrypt hashes, as htpasswd -B writes them, relative to the file that names it; read at start and reload",
				slot: value(func(b *BasicAuth) any { return &b.UsersFile }),
			},
			{
				Name: "realm", Kind: Text, check: checkRealm, Default: "restricted", Doc: "what browsers show beside the question for a password",
				slot: value(func(b *BasicAuth) any { return &b.Realm }),
			},
			{
				Name: "forward-user-header", Kind: Text, check: checkIdentityField,
				Doc:  "field that tells the upstream the name; of requests to any route it is taken away, so that nobody can forge it",
				slot: value(func(b *BasicAuth) any { return &b.ForwardUser }),
			},
			{
				Name: "forward-credentials", Kind: Bool, Doc: "let the upstream see the Authorization field, too",
				slot: value(func(b *BasicAuth) any { return &b.ForwardCredentials }),
			},
			{
				Name: "cache-entries", Kind: Int, Unit: "credentials", Max: 1048576, Default: "1024",
				Doc:  "credentials that were right and needn't be checked again for a while; they are kept as a keyed hash; 0 keeps none",
				slot: value(func(b *BasicAuth) any { return &b.CacheEntries }),
			},
			{
				Name: "cache-secs", Aliases: []string{"cache"}, Kind: Int, Unit: "seconds", Min: 1, Max: 86400, Default: "300", Label: "time in the cache",
				Doc: "for how long; a reload that changes the file ends it at once", slot: value(func(b *BasicAuth) any { return &b.CacheSecs }),
			},
			{
				Name: "max-concurrent-checks", Kind: Int, Unit: "checks", Min: 1, Max: 1024,
				Doc:  "passwords that are checked at once, which is slow by design; without it, half as many as there are processors",
				slot: value(func(b *BasicAuth) any { return &b.MaxChecks }),
			},
			{
				Name: "max-waiting-checks", Kind: Int, Unit: "checks", Max: 65536, Default: "32",
				Doc:  "requests that wait for a check, up to 5 seconds; what comes beyond is answered 503",
				slot: value(func(b *BasicAuth) any { return &b.MaxWaiting }),
			},
		},
		finish: finishBasicAuth,
	}
}

func finishBasicAuth(d *decoder, b any) {
	a := b.(*BasicAuth)
	if a.Mode.V != "off" && !d.tried(a, "users-file") {
		d.errorAt(a.From, "basic-auth needs users-file").hint("name one that htpasswd -B has made, or write mode \"off\"")
	}
}
