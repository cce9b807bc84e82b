package behaviour

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"sentinel/internal/testkit/origin"
)

// usersFile writes a users file: pairs of name and password, hashed at a cost.
func usersFile(t *testing.T, cost int, pairs ...string) string {
	t.Helper()
	text := "# made by a test\n\n"
	for i := 0; i < len(pairs); i += 2 {
		hash, err := bcrypt.GenerateFromPassword([]byte(pairs[i+1]), cost)
		if err != nil {
			t.Fatal(err)
		}
		text += pairs[i] + ":" + string(hash) + "\n"
	}
	return fileWith(t, "users", text)
}

// fileWith writes a file of the test's own.
func fileWith(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// policies is a configuration with one route that has them.
func policies(o *origin.Origin, text string) string {
	return forward(o, "policies { "+text+" }", "")
}

func TestBasicAuth(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	file := usersFile(t, 4, "ann", "secret", "bob", "pass:word", "josé", "Ünïcode")
	p := start(t, "", policies(o, fmt.Sprintf(`basic-auth { users-file %q; realm "the back room"; forward-user-header "X-User" }`, file)))
	for _, c := range []struct {
		name   string
		fields []string
		want   int
	}{
		{"nothing", nil, 401},
		{"right", []string{basic("ann", "secret")}, 200},
		{"right again", []string{basic("ann", "secret")}, 200},
		{"a colon in the password", []string{basic("bob", "pass:word")}, 200},
		{"not ASCII", []string{basic("josé", "Ünïcode")}, 200},
		{"wrong password", []string{basic("ann", "Secret")}, 401},
		{"password of another", []string{basic("ann", "pass:word")}, 401},
		{"unknown user", []string{basic("eve", "secret")}, 401},
		{"no user", []string{basic("", "secret")}, 401},
		{"a prefix of a name", []string{basic("an", "secret")}, 401},
		{"scheme in another case", []string{strings.Replace(basic("ann", "secret"), "Basic", "bASIC", 1)}, 200},
		{"another scheme", []string{"Authorization: Bearer " + base64.StdEncoding.EncodeToString([]byte("ann:secret"))}, 401},
		{"no base64", []string{"Authorization: Basic ann:secret"}, 401},
		{"without a colon", []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("annsecret"))}, 401},
		{"a control character", []string{basic("ann", "secret\x00")}, 401},
		{"twice", []string{basic("ann", "secret"), basic("ann", "secret")}, 401},
		{"far too long", []string{basic("ann", strings.Repeat("a", 4000))}, 401},
	} {
		r := p.do("GET", "/", c.fields...)
		if r.Status != c.want {
			t.Errorf("%s: %d, want %d", c.name, r.Status, c.want)
		}
		if got, want := r.Fields.Get("WWW-Authenticate"), `Basic realm="the back room", charset="UTF-8"`; (got == want) != (c.want == 401) {
			t.Errorf("%s: WWW-Authenticate is %q with %d", c.name, got, r.Status)
		}
	}
	p.expectMetrics(`sentinel_policy_decisions_total{outcome="allowed",policy="basic_auth",route="r"} 5`,
		`sentinel_policy_decisions_total{outcome="denied",policy="basic_auth",route="r"} 12`, `sentinel_faults_total{fault="unauthorized",route="r",side="client"} 12`)
	if r := p.do("GET", "/"); !strings.Contains(r.Text(), "C60") {
		t.Errorf("the refusal is %q, want its code", r.Text())
	}
}

// Upstreams learn the name and not the password, and nobody can claim a name.
func TestBasicAuthTellsTheUpstream(t *testing.T) {
	o := origin.Start(t, origin.Echo())
	file := usersFile(t, 4, "ann", "secret")
	config := func(more string) string {
		return fmt.Sprintf(`routes {
  route "r" { upstream "u"; allow-trailers #true; policies { basic-auth { users-file %q; forward-user-header "X-User"; %s } } }
  route "open" { matches { path "/open" }; upstream "u" }
}
upstreams { upstream "u" { target %q } }
`, file, more, o.Addr())
	}
	p := start(t, "", config(""))
	for _, target := range []string{"/", "/open"} {
		forged := []string{basic("ann", "secret"), "X-User: root", "x_user: root", "X-USER: root", "X_User: root", "Connection: X-User"}
		r := p.do("GET", target, forged...)
		if r.Status != 200 {
			t.Fatalf("GET %s = %d", target, r.Status)
		}
		head := r.Text()
		named, believed := strings.Contains(head, "\r\nX-User: ann\r\n"), strings.Contains(head, "root")
		if named != (target == "/") || believed {
			t.Errorf("for %s the upstream got %q", target, head)
		}
		if told := strings.Contains(head, "Authorization"); told != (target == "/open") {
			t.Errorf("for %s the upstream got %q", target, head)
		}
	}
	p.raw("POST", "POST / HTTP/1.1\r\nHost: x\r\n"+basic("ann", "secret")+"\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n1\r\na\r\n0\r\nX-User: root\r\nx_user: root\r\nX-Sum: 1\r\n\r\n")
	if all := string(o.Received()); strings.Contains(all, "root") || !strings.Contains(all, "X-Sum: 1") {
		t.Errorf("with trailers the upstream got %q", all)
	}
	if o := p.Reload(p.listening(config("forward-credentials #true"))); !o.OK {
		t.Fatalf("%+v", o)
	}
	if head := p.do("GET", "/", basic("ann", "secret")).Text(); !strings.Contains(head, "\r\n"+basic("ann", "secret")+"\r\n") {
		t.Errorf("with forward-credentials the upstream got %q", head)
	}
}

// A shadow counts and logs, and changes nothing.
func TestBasicAuthShadow(t *testing.T) {
	o := origin.Start(t, origin.Echo())
	file := usersFile(t, 4, "ann", "secret")
	p := start(t, "", policies(o, fmt.Sprintf(`basic-auth { mode "shadow"; users-file %q; forward-user-header "X-User" }`, file))+
		`observability { metrics { address "127.0.0.1:0" }; logging { file "$DIR/log"; access-log { enabled #true; file "$DIR/access" } } }`)
	for _, field := range []string{"X-User: upstream's own", basic("eve", "x"), basic("ann", "secret")} {
		r := p.do("GET", "/", field)
		if r.Status != 200 || r.Fields.Has("WWW-Authenticate") {
			t.Errorf("%q in shadow mode = %d", field, r.Status)
		}
		if head := r.Text(); !strings.Contains(head, field) {
			t.Errorf("%q in shadow mode doesn't get to the upstream: %q", field, head)
		}
	}
	p.expectMetrics(`sentinel_policy_decisions_total{outcome="shadowed",policy="basic_auth",route="r"} 2`, `sentinel_policy_decisions_total{outcome="allowed",policy="basic_auth",route="r"} 1`)
	log := p.File("access")
	if n := strings.Count(log, `would_refuse="basic_auth"`); n != 2 {
		t.Errorf("%d lines of the log tell of the shadow, want 2: %s", n, log)
	}
	if !strings.Contains(log, `user="ann"`) || strings.Contains(log, `user="eve"`) {
		t.Errorf("the log names others than who has proved it: %s", log)
	}
}

// A name can't forge a line of the log.
func TestBasicAuthLogsTheUserEscaped(t *testing.T) {
	file := usersFile(t, 4, `a" x="1`, "secret")
	p := start(t, "", fmt.Sprintf(`routes { route "r" { respond 200; policies { basic-auth { users-file %q } } } }`, file)+
		`
observability { metrics { address "127.0.0.1:0" }; logging { file "$DIR/log"; access-log { enabled #true; file "$DIR/access" } } }`)
	if r := p.do("GET", "/", basic(`a" x="1`, "secret")); r.Status != 200 {
		t.Fatalf("= %d", r.Status)
	}
	if log := p.File("access"); !strings.Contains(log, `, user="a\x22 x=\x221", `) {
		t.Errorf("the log is %q", log)
	}
}

// Passwords are remembered, by the bounds that are written; a reload with other users forgets
// them, and one without any is refused.
func TestBasicAuthCacheAndReload(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	users := filepath.Join(t.TempDir(), "users")
	write := func(password string) {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), 12)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(users, []byte("ann:"+string(hash)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	config := func(more string) string {
		return policies(o, fmt.Sprintf(`basic-auth { users-file %q; max-concurrent-checks 1; max-waiting-checks 0; %s }`, users, more))
	}
	p := start(t, "", config(""))
	p.expectStatuses(map[int]int{200: 1}, 1, "/", basic("ann", "one"))
	// While a check of a stranger keeps the one place, who is known goes on.
	busy := p.whileChecking(func() { p.expectStatuses(map[int]int{200: 3}, 3, "/", basic("ann", "one")) })
	if busy == 0 {
		t.Error("no check was ever refused for want of a place")
	}
	p.expectMetrics(`sentinel_policy_decisions_total{outcome="error",policy="basic_auth",route="r"} ` + fmt.Sprint(busy))
	write("two")
	p.expectStatuses(map[int]int{200: 1}, 1, "/", basic("ann", "one")) // until the reload
	if o := p.Reload(p.listening(config(""))); !o.OK {
		t.Fatalf("%+v", o)
	}
	p.expectStatuses(map[int]int{401: 1}, 1, "/", basic("ann", "one"))
	p.expectStatuses(map[int]int{200: 1}, 1, "/", basic("ann", "two"))
	for _, more := range []string{"cache-entries 0", "cache-secs 1"} {
		if o := p.Reload(p.listening(config(more))); !o.OK {
			t.Fatalf("%+v", o)
		}
		p.expectStatuses(map[int]int{200: 1}, 1, "/", basic("ann", "two"))
		eventually(t, more+": the password is checked again", func() bool {
			refused := 0
			p.whileChecking(func() {
				if p.do("GET", "/", basic("ann", "two")).Status == 503 {
					refused++
				}
			})
			return refused > 0
		})
	}
	os.Remove(users)
	if o := p.Reload(p.listening(config(""))); o.OK || !strings.Contains(fmt.Sprint(o.Details), "can't be read") {
		t.Errorf("a reload without users = %+v", o)
	}
	p.expectStatuses(map[int]int{401: 1}, 1, "/", basic("ann", "one"))
}

// whileChecking runs f while strangers have their passwords checked, and returns how many of
// these found no place.
func (p *proxy) whileChecking(f func()) (busy int) {
	p.t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	started := make(chan struct{}, 3)
	for range 3 {
		wg.Go(func() {
			started <- struct{}{}
			for range 3 {
				if r := p.do("GET", "/", basic("eve", "wrong")); r.Status == 503 {
					mu.Lock()
					busy++
					mu.Unlock()
				}
			}
		})
	}
	for range 3 {
		<-started
	}
	f()
	wg.Wait()
	return busy
}

// listening completes a configuration for a reload of a proxy that start has begun.
func (p *proxy) listening(rest string) string {
	return `listeners { listener "l" { address "` + p.addr + `" } }
` + rest
}

// The nearest block holds, and one that is off lifts that of the top level.
func TestPolicyPlaces(t *testing.T) {
	top, own := usersFile(t, 4, "ann", "top"), usersFile(t, 4, "ann", "own")
	p := start(t, "", fmt.Sprintf(`policies { basic-auth { users-file %q } }
routes {
  route "top" { respond 200 }
  route "own" { matches { path "/own" }; respond 200; policies { basic-auth { users-file %q } } }
  route "off" { matches { path "/off" }; respond 200; policies { basic-auth { mode "off" } } }
}`, top, own))
	for target, want := range map[string][3]int{"/": {200, 401, 401}, "/own": {401, 200, 401}, "/off": {200, 200, 200}} {
		for i, fields := range [][]string{{basic("ann", "top")}, {basic("ann", "own")}, nil} {
			if r := p.do("GET", target, fields...); r.Status != want[i] {
				t.Errorf("GET %s with %q = %d, want %d", target, fields, r.Status, want[i])
			}
		}
	}
}

// What should say who may come in, and can't be read or used, refuses the configuration with
// its place.
func TestBasicAuthRefusesBadFiles(t *testing.T) {
	good := usersFile(t, 4, "ann", "secret")
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "", `routes { route "r" { respond 200 } }`)
	for _, c := range []struct{ file, want string }{
		{"/nowhere/users", `config.kdl:2:`},
		{"/dev/null", "is no regular file"},
		{fileWith(t, "users", ""), "there is no user"},
		{fileWith(t, "users", "# nobody\n"), "there is no user"},
		{fileWith(t, "users", string(text)+"\nbob:$apr1$x$y\n"), "users:5:1: error: the hash is Apache's MD5, not bcrypt"},
		{fileWith(t, "users", "bob:secret\n"), "users:1:1: error: the hash is of an unknown kind, or a password in the clear, not bcrypt"},
		{fileWith(t, "users", "bob\n"), "users:1:1: error: the line is not name:hash"},
		{fileWith(t, "users", string(text)+string(text)), "users:6:1: error: the name stands twice"},
		{fileWith(t, "users", "bob:"+strings.Replace(strings.Split(string(text), ":")[1], "$04$", "$31$", 1)), "a bcrypt cost of 31 takes too long"},
	} {
		o := p.Reload(p.listening(fmt.Sprintf(`routes { route "r" { respond 200; policies { basic-auth { users-file %q } } } }`, c.file)))
		if details := strings.Join(o.Details, "\n"); o.OK || !strings.Contains(details, c.want) || strings.Contains(details, "bob:") {
			t.Errorf("%s: %+v, want %q", c.file, o, c.want)
		}
	}
}
