package compile

import (
	"crypto/sha256"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"sentinel/internal/config/kdl"
	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/auth"
	"sentinel/internal/dataplane/cors"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/observe/metric"
)

const (
	// secretBytesMax bounds a file of users, keys or secrets.
	secretBytesMax = 8 << 20
	// checkWait is how long a request waits for its password to be checked at most.
	checkWait = 5 * time.Second
)

// policies are what one Build has made of the blocks: those of the top level hold in many
// routes.
type policies struct {
	basic    map[*schema.BasicAuth]*snapshot.BasicAuth
	jwt      map[*schema.JWTAuth]*snapshot.JWTAuth
	forward  map[*schema.ForwardAuth]*snapshot.ForwardAuth
	cors     map[*schema.CORS]*cors.Policy
	security map[*schema.SecurityHeaders]*filter.Security
	reserved map[string]bool
}

func newPolicies() policies {
	return policies{
		make(map[*schema.BasicAuth]*snapshot.BasicAuth), make(map[*schema.JWTAuth]*snapshot.JWTAuth), make(map[*schema.ForwardAuth]*snapshot.ForwardAuth), make(map[*schema.CORS]*cors.Policy),
		make(map[*schema.SecurityHeaders]*filter.Security), make(map[string]bool),
	}
}

// once returns what was made of a block, or makes it; nil of nil.
func once[B, P any](made map[*B]*P, block *B, make func(*B) *P) *P {
	if block == nil {
		return nil
	}
	p, ok := made[block]
	if !ok {
		p = make(block)
		made[block] = p
	}
	return p
}

// addPolicies compiles what decides about the requests of each route, once the routes are
// there.
func (b *builder) addPolicies() {
	top := schema.EffectivePolicies(b.cfg, nil)
	b.snap.Security = once(b.policies.security, top.SecurityHeaders, securityFields)
	for i, r := range b.cfg.Routes {
		sr, p := b.snap.Routes[i], schema.EffectivePolicies(b.cfg, r)
		sr.SecurityFields = once(b.policies.security, p.SecurityHeaders, securityFields)
		sp := snapshot.Policies{
			CORS:  once(b.policies.cors, p.CORS, corsPolicy),
			Basic: once(b.policies.basic, p.BasicAuth, b.basicAuth),
			JWT:   once(b.policies.jwt, p.JWTAuth, b.jwtAuth), Forward: once(b.policies.forward, p.ForwardAuth, b.forwardAuth),
		}
		for policy, has := range map[metric.Policy]bool{metric.CORS: sp.CORS != nil, metric.BasicAuth: sp.Basic != nil, metric.JWTAuth: sp.JWT != nil, metric.ForwardAuth: sp.Forward != nil} {
			if has {
				sr.Metrics.HasPolicy(policy)
			}
		}
		if sp != (snapshot.Policies{}) {
			sr.Policies = &sp
		}
		b.snap.Preflights = b.snap.Preflights || sp.CORS != nil
	}
	b.snap.Reserved = slices.Sorted(maps.Keys(b.policies.reserved))
}

// reserve keeps clients from sending a field that a policy sets.
func (b *builder) reserve(field string) {
	if field != "" {
		b.policies.reserved[strings.ToLower(field)] = true
	}
}

// placeOf names where a block stands for what lives on: its line may change.
func (b *builder) placeOf(is func(*schema.Policies) bool) string {
	for _, r := range b.cfg.Routes {
		if is(&r.Policies) {
			return `route "` + r.Name.V + `"`
		}
	}
	return "top level"
}

// basicAuth compiles one block.
func (b *builder) basicAuth(a *schema.BasicAuth) *snapshot.BasicAuth {
	text, ok := b.secretFile("users-file", &a.UsersFile)
	if !ok {
		return nil
	}
	place := b.placeOf(func(p *schema.Policies) bool { return p.BasicAuth == a })
	settings := basicSettings{sha256.Sum256(text), int(a.CacheEntries.V), time.Duration(a.CacheSecs.V) * time.Second}
	checks := queue.Limits{Concurrent: max(1, runtime.GOMAXPROCS(0)/2), Pending: int(a.MaxWaiting.V), Wait: checkWait}
	if a.MaxChecks.IsSet() {
		checks.Concurrent = int(a.MaxChecks.V)
	}
	passwords := b.live.passwordsOf(b.next, place, settings, checks)
	if passwords.basic == nil {
		users, problems := auth.ParseUsers(text)
		for _, p := range problems {
			b.userProblem(a, p)
		}
		if len(problems) > 0 {
			return nil
		}
		passwords.basic = auth.NewBasic(users, settings.entries, settings.keep)
		b.next.passwords[place] = passwords
	}
	out := &snapshot.BasicAuth{
		Basic: passwords.basic, Checks: passwords.checks, Shadow: a.Mode.V == "shadow",
		Challenge: []byte(`Basic realm="` + a.Realm.V + `", charset="UTF-8"`),
		UserField: a.ForwardUser.V, KeepCredentials: a.ForwardCredentials.V,
	}
	if !out.Shadow {
		b.reserve(out.UserField)
	}
	return out
}

// userProblem reports a line of a users file.
func (b *builder) userProblem(a *schema.BasicAuth, p auth.Problem) {
	at := kdl.Span{}
	if p.Line > 0 {
		at.Start = kdl.Pos{Line: int32(p.Line), Column: 1}
		at.End = at.Start
	}
	d := kdl.Errorf(a.UsersFile.V, at, "%s", p.Text).WithRelated(a.UsersFile.From.File, a.UsersFile.From.Span, "the file is named here")
	d.Hint = p.Hint
	b.diags = append(b.diags, d)
}

// secretFile reads a file that decides who may come in: what can't be read lets nobody in.
func (b *builder) secretFile(key string, file *schema.Value[string]) (text []byte, ok bool) {
	info, err := os.Stat(file.V)
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		b.problem(file.From, "%s %q is no regular file", key, file.V)
		return nil, false
	case info.Size() > secretBytesMax:
		b.problem(file.From, "%s %q has more than %d bytes", key, file.V, secretBytesMax)
		return nil, false
	default:
		text, err = os.ReadFile(file.V)
	}
	if err != nil {
		b.problem(file.From, "%s %q can't be read: %v", key, file.V, err)
		return nil, false
	}
	return text, true
}

func corsPolicy(c *schema.CORS) *cors.Policy {
	return cors.New(cors.Options{
		Origins: texts(c.Origins), Methods: texts(c.Methods), Headers: texts(c.Headers), Expose: texts(c.ExposeHeaders),
		Credentials: c.Credentials.V, MaxAge: int(c.MaxAge.V),
	})
}

// basicSettings are what remembered passwords depend on: with others they are forgotten.
type basicSettings struct {
	users   [sha256.Size]byte
	entries int
	keep    time.Duration
}

// passwords are what of a basic-auth block lives on.
type passwords struct {
	settings basicSettings
	basic    *auth.Basic // nil where it has to be made
	checks   *queue.Gate
	limits   queue.Limits // hold from the commit on
}

// passwordsOf returns what lives on of the block in a place: the bound on checks always, what
// was remembered only with the same users and settings.
func (l *Live) passwordsOf(next *changes, place string, settings basicSettings, limits queue.Limits) passwords {
	l.mu.Lock()
	p := l.mu.passwords[place]
	l.mu.Unlock()
	if p.checks == nil {
		p.checks = queue.NewGate(limits, nil)
	}
	if p.settings != settings {
		p.basic = nil
	}
	p.settings, p.limits = settings, limits
	next.passwords[place] = p
	return p
}
