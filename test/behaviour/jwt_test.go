package behaviour

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sentinel/internal/testkit/origin"
)

// issuer signs tokens with a key of each kind.
type issuer struct {
	t   *testing.T
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t, r, e}
}

// keySet is the public half, with ids that begin with prefix.
func (i *issuer) keySet(prefix string) string {
	b := func(n *big.Int, size int) string {
		return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, size)))
	}
	set := map[string]any{"keys": []map[string]any{
		{"kty": "RSA", "kid": prefix + "rsa", "use": "sig", "n": b(i.rsa.N, 256), "e": "AQAB"},
		{"kty": "EC", "kid": prefix + "ec", "crv": "P-256", "x": b(i.ec.X, 32), "y": b(i.ec.Y, 32)},
		{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
	}}
	text, err := json.Marshal(set)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(text)
}

// claims are good ones, with changes: a nil value takes one away.
func claims(changes ...any) jwt.MapClaims {
	c := jwt.MapClaims{"sub": "ann", "iss": "https://id.example.com", "aud": []string{"shop", "other"}, "exp": time.Now().Add(time.Hour).Unix(), "scope": "read orders", "realm": map[string]any{"roles": []string{"admin", "user"}}, "level": 3}
	for i := 0; i < len(changes); i += 2 {
		if name := changes[i].(string); changes[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = changes[i+1]
		}
	}
	return c
}

func (i *issuer) sign(kid string, method jwt.SigningMethod, key any, c jwt.MapClaims, header ...string) string {
	i.t.Helper()
	token := jwt.NewWithClaims(method, c)
	if kid != "" {
		token.Header["kid"] = kid
	}
	for _, name := range header {
		token.Header[name] = []string{"exp"}
	}
	s, err := token.SignedString(key)
	if err != nil {
		i.t.Fatal(err)
	}
	return s
}

func (i *issuer) rs256(c jwt.MapClaims) string {
	return i.sign("rsa", jwt.SigningMethodRS256, i.rsa, c)
}

func bearer(token string) string { return "Authorization: Bearer " + token }

func TestJWTAuth(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	o := origin.Start(t, origin.OK(2))
	keys := fileWith(t, "keys.json", i.keySet(""))
	p := start(t, "", policies(o, fmt.Sprintf(`jwt-auth {
  jwks-file %q; algorithms "RS256" "ES256"; issuer "https://id.example.com"; audience "shop"; leeway-secs 10; realm "the shop"
  require-claim "scope" "orders"; require-claim "realm.roles" "admin"; require-claim "level" "3"
}`, keys)))
	good := i.rs256(claims())
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	const missing, invalid, scope = `Bearer realm="the shop"`, `Bearer realm="the shop", error="invalid_token"`, `Bearer realm="the shop", error="insufficient_scope"`
	for _, c := range []struct {
		name   string
		fields []string
		status int
		asks   string
	}{
		{"nothing", nil, 401, missing},
		{"right", []string{bearer(good)}, 200, ""},
		{"right again", []string{bearer(good)}, 200, ""},
		{"by the other key", []string{bearer(i.sign("ec", jwt.SigningMethodES256, i.ec, claims()))}, 200, ""},
		{"without a key id", []string{bearer(i.sign("", jwt.SigningMethodES256, i.ec, claims()))}, 200, ""},
		{"expired within the leeway", []string{bearer(i.rs256(claims("exp", time.Now().Add(-5*time.Second).Unix())))}, 200, ""},
		{"audience as one text", []string{bearer(i.rs256(claims("aud", "shop")))}, 200, ""},
		{"twice", []string{bearer(good), bearer(good)}, 401, missing},
		{"Basic", []string{basic("ann", "secret")}, 401, missing},
		{"without Bearer", []string{"Authorization: " + good}, 401, missing},
		{"expired", []string{bearer(i.rs256(claims("exp", time.Now().Add(-time.Minute).Unix())))}, 401, invalid},
		{"for ever", []string{bearer(i.rs256(claims("exp", nil)))}, 401, invalid},
		{"not yet", []string{bearer(i.rs256(claims("nbf", time.Now().Add(time.Minute).Unix())))}, 401, invalid},
		{"of tomorrow", []string{bearer(i.rs256(claims("iat", time.Now().Add(time.Hour).Unix())))}, 401, invalid},
		{"another issuer", []string{bearer(i.rs256(claims("iss", "https://evil.example")))}, 401, invalid},
		{"no issuer", []string{bearer(i.rs256(claims("iss", nil)))}, 401, invalid},
		{"for others", []string{bearer(i.rs256(claims("aud", []string{"other"})))}, 401, invalid},
		{"for nobody", []string{bearer(i.rs256(claims("aud", nil)))}, 401, invalid},
		{"another's key", []string{bearer(other.rs256(claims()))}, 401, invalid},
		{"unknown key id", []string{bearer(i.sign("new", jwt.SigningMethodRS256, i.rsa, claims()))}, 401, invalid},
		{"the id of the other key", []string{bearer(i.sign("ec", jwt.SigningMethodRS256, i.rsa, claims()))}, 401, invalid},
		{"an algorithm that isn't named", []string{bearer(i.sign("rsa", jwt.SigningMethodRS384, i.rsa, claims()))}, 401, invalid},
		{"the public key as a secret", []string{bearer(i.sign("rsa", jwt.SigningMethodHS256, []byte(i.rsa.N.Bytes()), claims()))}, 401, invalid},
		{"none", []string{bearer(none)}, 401, invalid},
		{"none with a signature", []string{bearer(none + parts[2])}, 401, invalid},
		{"other claims under the signature", []string{bearer(parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root","exp":9999999999}`)) + "." + parts[2])}, 401, invalid},
		{"an extension that must be understood", []string{bearer(i.sign("rsa", jwt.SigningMethodRS256, i.rsa, claims(), "crit"))}, 401, invalid},
		{"garbage", []string{bearer("a.b.c")}, 401, invalid},
		{"without the scope", []string{bearer(i.rs256(claims("scope", "read ordersx")))}, 403, scope},
		{"without the role", []string{bearer(i.rs256(claims("realm", nil)))}, 403, scope},
		{"another level", []string{bearer(i.rs256(claims("level", 4)))}, 403, scope},
	} {
		r := p.do("GET", "/", c.fields...)
		if asks := r.Fields.Get("WWW-Authenticate"); r.Status != c.status || asks != c.asks {
			t.Errorf("%s: %d %q, want %d %q", c.name, r.Status, asks, c.status, c.asks)
		}
	}
	p.expectMetrics(`sentinel_policy_decisions_total{outcome="allowed",policy="jwt_auth",route="r"} 6`, `sentinel_faults_total{fault="claims_refused",route="r",side="client"} 3`)
}

func TestJWTAuthTellsTheUpstream(t *testing.T) {
	i := newIssuer(t)
	o := origin.Start(t, origin.Echo())
	keys := fileWith(t, "keys.json", i.keySet(""))
	start := func(more string) *proxy {
		return start(t, "", policies(o, fmt.Sprintf(`jwt-auth { jwks-file %q; algorithms "RS256"; user-claim "name"; forward-claims { "X-User" "sub"; "X-Roles" "realm.roles" }; forward-claims "X-Level" "level"; %s }`, keys, more))+
			`observability { metrics { address "127.0.0.1:0" }; logging { file "$DIR/log"; access-log { enabled #true; file "$DIR/access" } } }`)
	}
	p := start("")
	forged := []string{"Connection: X-User, X-Roles", "X-User: root", "x_roles: root", "X-LEVEL: root"}
	for range 2 { // verified, then remembered
		head := p.do("GET", "/", append(forged, bearer(i.rs256(claims("name", "Ann B."))))...).Text()
		for _, want := range []string{"\r\nX-User: ann\r\n", "\r\nX-Roles: admin,user\r\n", "\r\nX-Level: 3\r\n"} {
			if !strings.Contains(head, want) {
				t.Errorf("the upstream got %q, want %q in it", head, want)
			}
		}
		if strings.Contains(head, "root") || strings.Contains(head, "Authorization") {
			t.Errorf("the upstream got %q", head)
		}
	}
	for _, sub := range []string{"a\r\nX-Admin: 1", "a\x00b"} {
		if r := p.do("GET", "/", bearer(i.rs256(claims("sub", sub)))); r.Status != 403 {
			t.Errorf("a claim %q, which is no field value = %d", sub, r.Status)
		}
	}
	if log := p.File("access"); !strings.Contains(log, `user="Ann B."`) {
		t.Errorf("the log doesn't name the user: %s", log)
	}
	token := i.rs256(claims())
	for _, c := range []struct {
		keys, field, sees string
		status            int
	}{
		{`forward-credentials #true`, bearer(token), "\r\n" + bearer(token) + "\r\n", 200},
		{`token-from "cookie:session"`, "Cookie: a=b; session=" + token + "; c=d", "\r\nCookie: a=b; c=d\r\n", 200},
		{`token-from "cookie:session"; forward-credentials #true`, "Cookie: a=b; session=" + token, "\r\nCookie: a=b; session=", 200},
		{`token-from "cookie:session"`, bearer(token), "", 401},
		{`token-from "cookie:session"`, "Cookie: session=" + token + "; session=" + token, "", 401},
		{`token-from "cookie:session"`, "Cookie: session=", "", 401},
		{`token-from "cookie:session"`, "Cookie: session=" + token + "; a=b\r\nCookie: session=other", "", 401},
		{`token-from "header:X-Token"`, "X-Token: " + token + "\r\nX_Token: other", "", 401},
		{`token-from "header:X-Token"; forward-credentials #true`, "x_token: other\r\nX-Token: " + token, "", 401},
		{`token-from "header:X-Token"`, "X_Token: " + token, "\r\nX-User: ann\r\n", 200},
		{`token-from "header:X-Token"`, "X-Token: " + token, "\r\nX-User: ann\r\n", 200},
		{`token-from "header:X-Token"`, "X-Token: Bearer " + token, "\r\nX-User: ann\r\n", 200},
	} {
		p := start(c.keys)
		r := p.do("GET", "/", c.field)
		if r.Status != c.status || !strings.Contains(r.Text(), c.sees) && c.status == 200 || strings.Contains(c.keys, "X-Token") && strings.Contains(r.Text(), token) {
			t.Errorf("%s: %d, the upstream got %q, want %q in it", c.keys, r.Status, r.Text(), c.sees)
		}
	}
	t.Run("shadow", func(t *testing.T) {
		p := start(`mode "shadow"`)
		for field, sees := range map[string]string{"X-User: root": "root", bearer("x"): "Bearer x", bearer(token): token} {
			if r := p.do("GET", "/", field); r.Status != 200 || !strings.Contains(r.Text(), sees) || strings.Contains(r.Text(), "X-User: ann") {
				t.Errorf("%q in shadow mode = %d, the upstream got %q", field, r.Status, r.Text())
			}
		}
		p.expectMetrics(`sentinel_policy_decisions_total{outcome="shadowed",policy="jwt_auth",route="r"} 2`)
		both := start(fmt.Sprintf(`mode "shadow"; token-from "cookie:t" }; basic-auth { mode "shadow"; users-file %q`, usersFile(t, 4, "ann", "secret")))
		both.expectStatuses(map[int]int{200: 1}, 1, "/")
		if log := both.File("access"); !strings.Contains(log, `would_refuse="basic_auth"`) || strings.Contains(log, "jwt_auth") {
			t.Errorf("the log doesn't name the first policy that would have refused: %s", log)
		}
	})
}

func TestJWTAuthSecret(t *testing.T) {
	i := newIssuer(t)
	secret := strings.Repeat("s", 32)
	file := fileWith(t, "secret", secret+"\n")
	for _, entries := range []string{"", "cache-entries 0"} {
		p := start(t, "", fmt.Sprintf(`routes { route "r" { respond 200; policies { jwt-auth { secret-file %q; algorithms "HS256"; %s } } } }`, file, entries))
		p.expectStatuses(map[int]int{200: 2}, 2, "/", bearer(i.sign("", jwt.SigningMethodHS256, []byte(secret), claims())))
		p.expectStatuses(map[int]int{401: 1}, 1, "/", bearer(i.sign("", jwt.SigningMethodHS256, []byte(secret+"\n"), claims())))
		p.expectStatuses(map[int]int{401: 1}, 1, "/", bearer(i.rs256(claims())))
	}
	p := start(t, "", `routes { route "r" { respond 200 } }`)
	for _, c := range []struct{ block, want string }{
		{fmt.Sprintf(`secret-file %q; algorithms "HS256"`, fileWith(t, "secret", "short")), "it has 5 bytes, and needs at least 32"},
		{`jwks-file "/nowhere"; algorithms "RS256"`, "can't be read"},
		{fmt.Sprintf(`jwks-file %q; algorithms "RS256"`, fileWith(t, "keys", "")), "it is no key set"},
		{fmt.Sprintf(`jwks-file %q; algorithms "RS256"`, fileWith(t, "keys", `{"keys":[]}`)), "it has no key"},
		{fmt.Sprintf(`jwks-file %q; algorithms "RS256"`, fileWith(t, "keys", `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`)), "it has no key"},
	} {
		o := p.Reload(p.listening(`routes { route "r" { respond 200; policies { jwt-auth { ` + c.block + ` } } } }`))
		if o.OK || !strings.Contains(fmt.Sprint(o.Details), c.want) {
			t.Errorf("%s: %+v, want %q", c.block, o, c.want)
		}
	}
}

// Keys that are fetched: nobody waits for them, without them nobody comes in, and they are
// renewed, for a token with an unknown key at once.
func TestJWTAuthFetchesKeys(t *testing.T) {
	i := newIssuer(t)
	var answer origin.Switch
	answer.Set(origin.Reply(500, "not now"))
	provider := origin.Start(t, origin.Acts(answer.Choose))
	url := "http://" + provider.Addr() + "/keys?token=hidden"
	config := func(refresh string) string {
		return fmt.Sprintf(`routes { route "r" { respond 200; policies { jwt-auth { jwks-url %q; algorithms "RS256"; timeout-secs 2; refresh-secs %s } } } }`, url, refresh)
	}
	p := start(t, "", config("0.05"))
	good := bearer(i.rs256(claims()))
	p.expectStatuses(map[int]int{503: 1}, 1, "/", good)
	p.expectStatuses(map[int]int{401: 1}, 1, "/")
	name := `source="http://` + provider.Addr() + `/keys"`
	p.expectMetrics(`sentinel_token_keys{`+name+`} 0`, `sentinel_policy_decisions_total{outcome="error",policy="jwt_auth",route="r"} 1`, `sentinel_faults_total{fault="token_keys_missing",route="r",side="upstream"} 1`)
	answer.Set(origin.Reply(200, i.keySet("")))
	eventually(t, "the keys are there", func() bool { return p.do("GET", "/", good).Status == 200 })
	p.expectMetrics(`sentinel_token_keys{` + name + `} 2`)
	answer.Set(origin.Hang)
	p.expectStatuses(map[int]int{200: 3}, 3, "/", good) // by the keys there are
	if o := p.Reload(p.listening(config("3600"))); !o.OK {
		t.Fatalf("%+v", o)
	}
	p.expectStatuses(map[int]int{200: 3}, 3, "/", good) // also after a reload
	answer.Set(origin.Reply(200, strings.Repeat(" ", 2<<20)))
	eventually(t, "a failure is told", func() bool {
		return strings.Contains(p.Metrics(), `sentinel_token_keys_fetches_total{result="failure",`+name)
	})
	p.expectStatuses(map[int]int{200: 1}, 1, "/", good)
	log := p.Logs()
	for _, want := range []string{"WARN token keys away", "answered 500", "INFO token keys fetched"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q: %s", want, log)
		}
	}
	if strings.Contains(log, "hidden") {
		t.Errorf("the log tells the query of the URL: %s", log)
	}
}

// A rate limit that goes by who the client is comes after the question.
func TestNamedRateLimits(t *testing.T) {
	i := newIssuer(t)
	users := usersFile(t, 4, "ann", "secret", "bob", "secret")
	keys := fileWith(t, "keys.json", i.keySet(""))
	p := start(t, "", fmt.Sprintf(`policies { rate-limit "user" { %s burst 2; key "user" } }
routes {
  route "pass" { respond 200; policies { basic-auth { users-file %q } } }
  route "token" { matches { path "/token" }; respond 200; policies { jwt-auth { jwks-file %q; algorithms "RS256" }; rate-limit "tenant" { %s burst 2; key "jwt:tenant" } } }
  route "open" { matches { path "/open" }; respond 200 }
}`, slow, users, keys, slow))
	p.expectStatuses(map[int]int{401: 5}, 5, "/", basic("ann", "wrong"))
	p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, "/", basic("ann", "secret"))
	p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, "/", basic("bob", "secret"))
	p.expectStatuses(map[int]int{200: 5}, 5, "/open")
	p.expectStatuses(map[int]int{200: 2, 429: 1}, 3, "/token", bearer(i.rs256(claims("tenant", "a"))))
	p.expectStatuses(map[int]int{429: 1}, 1, "/token", bearer(i.rs256(claims("tenant", "a", "sub", "bob"))))
	p.expectStatuses(map[int]int{200: 2}, 2, "/token", bearer(i.rs256(claims("tenant", "b"))))
	o := p.Reload(p.listening(`routes { route "r" { respond 200; rate-limit { requests-per-second 1; key "user" } } }`))
	if o.OK || !strings.Contains(fmt.Sprint(o.Details), `key "user" counts nobody in route "r"`) {
		t.Errorf("a limit by user where nobody is asked: %+v", o)
	}
}
