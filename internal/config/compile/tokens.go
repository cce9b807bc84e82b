package compile

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/auth"
	"sentinel/internal/dataplane/snapshot"
)

// jwtAuth compiles one block.
func (b *builder) jwtAuth(j *schema.JWTAuth) *snapshot.JWTAuth {
	source := b.tokenKeys(j)
	if source == nil {
		return nil
	}
	opt := auth.TokenOptions{
		Algorithms: texts(j.Algorithms), Issuers: texts(j.Issuers), Audience: texts(j.Audiences), Leeway: j.Leeway.V,
		UserClaim: j.UserClaim.V, Entries: int(j.CacheEntries.V), Keep: b.keptClaims(),
	}
	out := &snapshot.JWTAuth{Shadow: j.Mode.V == "shadow", KeepCredentials: j.ForwardCredentials.V}
	for _, r := range j.Require {
		opt.Require = append(opt.Require, auth.Pair{Name: r.Old, Value: r.New})
	}
	for _, f := range j.Forward {
		opt.Forward = append(opt.Forward, auth.Pair{Name: f.Old, Value: f.New})
		if !out.Shadow {
			b.reserve(f.Old)
		}
	}
	out.Tokens = auth.NewTokens(opt, source)
	kind, name, _ := strings.Cut(j.TokenFrom.V, ":")
	if kind == "cookie" {
		out.Cookie = name
	} else {
		out.Field = strings.ToLower(name)
	}
	missing := `Bearer realm="` + j.Realm.V + `"`
	out.Missing, out.Invalid, out.Lacking = []byte(missing), []byte(missing+`, error="invalid_token"`), []byte(missing+`, error="insufficient_scope"`)
	return out
}

// tokenKeys returns where the keys of a block are; nil where that is a problem.
func (b *builder) tokenKeys(j *schema.JWTAuth) *auth.Source {
	if j.JWKSURL.IsSet() {
		return b.feed(j)
	}
	key, file, parse := "jwks-file", &j.JWKSFile, auth.ParseKeySet
	if j.SecretFile.IsSet() {
		key, file, parse = "secret-file", &j.SecretFile, func(text []byte) (*auth.KeySet, error) { return auth.NewSecret(bytes.TrimRight(text, "\r\n")) }
	}
	text, ok := b.secretFile(key, file)
	if !ok {
		return nil
	}
	keys, err := parse(text)
	if err != nil {
		b.problem(file.From, "%s %q can't be used: %v", key, file.V, err)
		return nil
	}
	return auth.NewSource(keys)
}

// feed returns the source of a URL, which lives on with the keys that it has; of two blocks
// with the same one, the more impatient counts.
func (b *builder) feed(j *schema.JWTAuth) *auth.Source {
	address := j.JWKSURL.V
	if f := b.next.feeds[address]; f != nil {
		f.Refresh, f.Timeout = min(f.Refresh, j.Refresh.V), min(f.Timeout, j.Timeout.V)
		return f.Source
	}
	f := &auth.Feed{URL: address, Name: b.feedName(address), Refresh: j.Refresh.V, Timeout: j.Timeout.V}
	b.live.mu.Lock()
	if old := b.live.mu.feeds[address]; old != nil {
		f.Source = old.Source
	}
	b.live.mu.Unlock()
	if f.Source == nil {
		f.Source = auth.NewSource(nil)
	}
	b.next.feeds[address] = f
	return f.Source
}

// feedName is what a URL is called in events and metrics: its query may be secret. Of several
// that differ in it alone, the later ones are numbered.
func (b *builder) feedName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	name, n := u.Scheme+"://"+u.Host+u.EscapedPath(), 1
	for other := range b.next.feeds {
		if o, err := url.Parse(other); err == nil && o.Scheme == u.Scheme && o.Host == u.Host && o.EscapedPath() == u.EscapedPath() {
			n++
		}
	}
	if n > 1 {
		name += "#" + strconv.Itoa(n)
	}
	return name
}

// keptClaims returns the claims that keys of rate limits ask for.
func (b *builder) keptClaims() []string {
	names := make(map[string]bool)
	note := func(limits []*schema.RateLimit) {
		for _, l := range limits {
			for _, k := range l.Key {
				if claim, ok := strings.CutPrefix(k.V, "jwt:"); ok {
					names[claim] = true
				}
			}
		}
	}
	note(b.cfg.RateLimits)
	for _, l := range b.cfg.Listeners {
		note(l.RateLimits)
	}
	for _, r := range b.cfg.Routes {
		note(r.RateLimits)
	}
	return slices.Sorted(maps.Keys(names))
}

// Feeds returns the sources of keys that the generation which serves fetches, by URL.
func (l *Live) Feeds() map[string]*auth.Feed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.feeds
}

// forwardAuth compiles one block.
func (b *builder) forwardAuth(f *schema.ForwardAuth) *snapshot.ForwardAuth {
	out := &snapshot.ForwardAuth{
		Upstream: b.upstreams[f.Upstream.V], Shadow: f.Mode.V == "shadow", Method: []byte(f.Method.V), Timeout: f.Timeout.V,
		ContentBytesMax: int(f.MaxResponseBytes.V), AllowWhenFailing: f.OnError.V == "allow", UserField: strings.ToLower(f.UserHeader.V),
	}
	path, query, has := strings.Cut(f.Path.V, "?")
	out.Path, out.Query, out.HasQuery = []byte(path), []byte(query), has
	for _, name := range f.RequestHeaders {
		out.Sent = append(out.Sent, strings.ToLower(name.V))
	}
	if len(out.Sent) == 0 {
		out.Sent = []string{"authorization", "cookie"}
	}
	for _, name := range f.ResponseHeaders {
		out.Copied = append(out.Copied, snapshot.FieldName{Name: name.V, Lower: strings.ToLower(name.V)})
		if !out.Shadow {
			b.reserve(name.V)
		}
	}
	return out
}
