package schema

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// JWTAuth asks for a JSON Web Token (RFC 7519). One of the three places of keys is set.
type JWTAuth struct {
	Block
	Mode               Value[string] // "enforce", "shadow" or "off"
	JWKSFile           Value[string] // relative ones are taken from the file that names them
	JWKSURL            Value[string]
	SecretFile         Value[string]
	Algorithms         []Value[string]
	Issuers            []Value[string]
	Audiences          []Value[string]
	Leeway             Value[time.Duration]
	TokenFrom          Value[string] // "header:NAME" or "cookie:NAME"
	Require            []Rename      // claim and value
	Forward            []Rename      // field and claim
	UserClaim          Value[string]
	Realm              Value[string]
	ForwardCredentials Value[bool]
	CacheEntries       Value[int64]
	Refresh            Value[time.Duration]
	Timeout            Value[time.Duration]
}

// algorithms are those of RFC 7518 section 3.1 and RFC 8037, but none.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"}

func jwtAuthBlock() blockDef {
	return blockDef{
		name: "jwt-auth",
		doc: "Requests need a JSON Web Token (RFC 7519) that is signed, current and for us. The nearest block holds as a whole. " +
			"See [access-control.md](../access-control.md).",
		keys:   append(jwtKeys(), jwtClaims()...),
		finish: finishJWTAuth,
	}
}

func jwtKeys() []Key {
	return []Key{
		modeKey(func(j *JWTAuth) *Value[string] { return &j.Mode }),
		{
			Name: "jwks-file", Kind: Text, check: checkFile, Doc: "key set (RFC 7517), relative to the file that names it; read at start and reload",
			slot: value(func(j *JWTAuth) any { return &j.JWKSFile }),
		},
		{
			Name: "jwks-url", Kind: Text, check: checkKeysURL, Doc: "where a key set is fetched, by https unless it is on this machine; tokens are refused until it is there",
			slot: value(func(j *JWTAuth) any { return &j.JWKSURL }),
		},
		{
			Name: "secret-file", Kind: Text, check: checkFile, Doc: "a secret of at least 32 bytes, for algorithms HS256, HS384 and HS512",
			slot: value(func(j *JWTAuth) any { return &j.SecretFile }),
		},
		{
			Name: "algorithms", Kind: Texts, Many: true, check: checkAlgorithm, Doc: "the only ones that are taken: RS256, PS256, ES256, EdDSA and the like; never none",
			slot: value(func(j *JWTAuth) any { return &j.Algorithms }),
		},
		{
			Name: "token-from", Aliases: []string{"from"}, Kind: Text, check: checkTokenFrom, Default: "header:Authorization",
			Doc: "where the token is: `header:NAME`, with or without Bearer before it, or `cookie:NAME`", slot: value(func(j *JWTAuth) any { return &j.TokenFrom }),
		},
		{
			Name: "forward-credentials", Kind: Bool, Doc: "let the upstream see the token, too",
			slot: value(func(j *JWTAuth) any { return &j.ForwardCredentials }),
		},
		{
			Name: "cache-entries", Kind: Int, Unit: "tokens", Max: 1048576, Default: "4096",
			Doc:  "tokens that were right and aren't verified again until they expire, for 5 minutes at most; they are kept as a keyed hash; 0 keeps none",
			slot: value(func(j *JWTAuth) any { return &j.CacheEntries }),
		},
		{
			Name: "refresh-secs", Kind: Seconds, Unit: "seconds", Max: 86400, Default: "300", Label: "time between fetches of keys",
			Doc: "how often jwks-url is fetched; a token that names an unknown key has it fetched at once, every 10 seconds at most", slot: value(func(j *JWTAuth) any { return &j.Refresh }),
		},
		{
			Name: "timeout-secs", Kind: Seconds, Unit: "seconds", Max: 60, Default: "5", Label: "timeout of a fetch of keys", Doc: "how long one fetch of jwks-url may take",
			slot: value(func(j *JWTAuth) any { return &j.Timeout }),
		},
	}
}

func jwtClaims() []Key {
	return []Key{
		{
			Name: "issuer", Kind: Texts, Many: true, Doc: "who may have issued the token (claim iss); without it, anybody with the keys",
			slot: value(func(j *JWTAuth) any { return &j.Issuers }),
		},
		{
			Name: "audience", Kind: Texts, Many: true, Doc: "whom the token must be for (claim aud); without it, anybody",
			slot: value(func(j *JWTAuth) any { return &j.Audiences }),
		},
		{
			Name: "leeway-secs", Kind: Seconds, Unit: "seconds", Max: 300, ZeroOff: true, Default: "30", Label: "leeway", Doc: "how far the clocks of issuer and proxy may differ",
			slot: value(func(j *JWTAuth) any { return &j.Leeway }),
		},
		{
			Name: "require-claim", Kind: Pairs, Many: true,
			Doc:  "`require-claim \"scope\" \"orders\"`: the claim is that value, or a list or a text of words that has it; dots lead into objects; else 403",
			slot: value(func(j *JWTAuth) any { return &j.Require }),
		},
		{
			Name: "forward-claims", Kind: Pairs, Many: true,
			Doc:  "`forward-claims { \"X-User\" \"sub\" }`: fields that tell the upstream claims; of requests to any route they are taken away, so that nobody can forge them",
			slot: value(func(j *JWTAuth) any { return &j.Forward }),
		},
		{
			Name: "user-claim", Kind: Text, Default: "sub", Doc: "who the client is, in the log and for rate limits by user",
			slot: value(func(j *JWTAuth) any { return &j.UserClaim }),
		},
		{
			Name: "realm", Kind: Text, check: checkRealm, Default: "restricted", Doc: "what refusals call the place (RFC 6750, section 3)",
			slot: value(func(j *JWTAuth) any { return &j.Realm }),
		},
	}
}

// finishJWTAuth reports what is missing and what contradicts itself.
func finishJWTAuth(d *decoder, b any) {
	j := b.(*JWTAuth)
	if j.Mode.V == "off" {
		return
	}
	var keys []sourcedKey
	for _, k := range []sourcedKey{{"jwks-file", j.JWKSFile.From}, {"jwks-url", j.JWKSURL.From}, {"secret-file", j.SecretFile.From}} {
		if k.from.IsSet() {
			keys = append(keys, k)
		}
	}
	switch {
	case len(keys) == 0 && !d.tried(j, "jwks-file", "jwks-url", "secret-file"):
		d.errorAt(j.From, "jwt-auth has no keys").hint("add one of jwks-file, jwks-url and secret-file")
	case len(keys) > 1:
		d.errorAt(keys[1].from, "jwt-auth has both %s and %s", keys[0].name, keys[1].name).hint("keep one of them").related(keys[0].from, "the first one is here")
	}
	if !d.tried(j, "algorithms") {
		d.errorAt(j.From, "jwt-auth needs algorithms").hint(`name those that your issuer signs with, such as algorithms "RS256"; a token must not choose`)
	}
	d.algorithms(j)
	for _, k := range []sourcedKey{{"refresh-secs", j.Refresh.From}, {"timeout-secs", j.Timeout.From}} {
		if k.from.IsSet() && !j.JWKSURL.IsSet() {
			d.errorAt(k.from, "%s has no effect without jwks-url", k.name).hint("remove it")
		}
	}
	d.forwards(j.Forward)
}

// algorithms reports those that can't be with the keys: a public key that is taken for a
// secret lets everybody sign.
func (d *decoder) algorithms(j *JWTAuth) {
	for _, a := range j.Algorithms {
		shared := strings.HasPrefix(a.V, "HS")
		switch {
		case shared && (j.JWKSFile.IsSet() || j.JWKSURL.IsSet()):
			d.errorAt(a.From, "%s signs with a secret, and a key set holds public keys", a.V).hint("use secret-file, or another algorithm")
		case !shared && j.SecretFile.IsSet():
			d.errorAt(a.From, "%s can't be verified by a secret", a.V).hint(`use "HS256", or jwks-file`)
		}
	}
}

// forwards checks the fields that tell claims.
func (d *decoder) forwards(list []Rename) {
	seen := make(map[string]Origin)
	for _, f := range list {
		if problem, hint := checkIdentityField(f.Old); problem != "" {
			d.errorAt(f.From, "forward-claims %q %s", f.Old, problem).hint("%s", hint)
		}
		d.once(seen, foldName(f.Old), f.From, "forward-claims", f.Old)
	}
}

func checkAlgorithm(s string) (problem, hint string) {
	if slices.Contains(algorithms, s) {
		return "", ""
	}
	if strings.EqualFold(s, "none") {
		return "lets everybody in", "name an algorithm that signs"
	}
	return "is no algorithm for signatures", "use one of: " + strings.Join(algorithms, ", ")
}

func checkTokenFrom(s string) (problem, hint string) {
	kind, name, _ := strings.Cut(s, ":")
	if (kind != "header" && kind != "cookie") || !isToken(name) {
		return "is no place of a token", "use header:NAME or cookie:NAME"
	}
	if kind == "header" && !strings.EqualFold(name, "Authorization") {
		return checkIdentityField(name)
	}
	return "", ""
}

// checkKeysURL checks where keys are fetched: whoever can change them on the way can sign.
func checkKeysURL(s string) (problem, hint string) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return "is no URL", `write one such as "https://id.example.com/.well-known/jwks.json"`
	}
	a, err := netip.ParseAddr(u.Hostname())
	switch {
	case u.User != nil:
		return "holds a name or password", "use jwks-file where keys need credentials"
	case u.Scheme == "https":
		return "", ""
	case u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && a.IsLoopback()):
		return "", ""
	}
	return "isn't fetched by https", "whoever can change the keys on their way can sign tokens: use https, or jwks-file"
}
