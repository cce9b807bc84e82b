package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// base is what every configuration needs.
const base = `listeners { listener "http" { address "127.0.0.1:8080" } }
routes { route "r" { upstream "u" } }
upstreams { upstream "u" { target "127.0.0.1:9000" } }
`

func noEnv(string) (string, bool) { return "", false }

func load(t *testing.T, text string) *Config {
	t.Helper()
	c, sources, diags := LoadBytes("config.kdl", []byte(text), Options{Env: noEnv})
	if diags.HasErrors() {
		t.Fatalf("refused:\n%s", diags.AppendText(nil, sources.Text))
	}
	return c
}

// TestSpellings checks that different spellings say the same.
func TestSpellings(t *testing.T) {
	withTargets := func(targets string) string {
		return strings.Replace(base, `target "127.0.0.1:9000"`, targets, 1)
	}
	for name, spellings := range map[string][]string{
		"system":   {base + `system { worker-threads 3 }`, base + `server { worker-threads 3 }`, base + `server worker-threads=3`},
		"seconds":  {base + `timeouts { read-secs 4; idle-secs 5 }`, base + `timeouts { read 4; idle 5 }`, base + `timeouts read=4.0 idle-secs=5`},
		"shutdown": {base + `system { graceful-shutdown-timeout-secs 4 }`, base + `server { graceful-shutdown-timeout 4 }`},
		"bytes": {
			base + `limits { max-body-size 65536 }`, base + `limits { max-body-size-bytes 65536 }`,
			base + `limits { max-body-size "64KiB" }`, base + `limits { max-body-size "64k" }`, base + `limits { max-body-size 0x10000 }`,
		},
		"targets": {
			withTargets(`target "h:1" weight=2; target "h:2"`),
			withTargets(`target { address "h:1"; weight 2 }; target { address "h:2" }`),
			withTargets(`targets { target { address "h:1"; weight 2 }; target "h:2" }`),
			withTargets(`target "h:1" { weight 2 }; targets { target "h:2" weight=1 }`),
			withTargets(`target address="h:1" weight=2; target "h:2"`),
		},
		"balancing": {withTargets(`target "h:1"; load-balancing "round_robin"`), withTargets(`target "h:1"; load-balancing "round-robin"`), withTargets(`target "h:1"`)},
		"booleans":  {base + `observability { logging { access-log { enabled #false } } }`, base + `observability { logging { access-log enabled=#false } }`},
		"version 1": {base + `observability { logging { access-log { enabled #false } } }`, base + `observability { logging { access-log { enabled false } } }`},
		"priority":  {strings.Replace(base, "upstream \"u\" }", "upstream \"u\"; priority 100 }", 1), strings.Replace(base, "upstream \"u\" }", "upstream \"u\"; priority \"high\" }", 1)},
		"several":   {base + `system { trusted-proxies "10.0.0.0/8" "192.0.2.1" }`, base + `system { trusted-proxies "10.0.0.0/8"; trusted-proxies "192.0.2.1/32" }`},
		"limits": {
			base + `limits { max-connections 5; max-body-size 7 }`,
			base + "limits { max-connections 9 }\nlimits { max-connections 5; max-body-size 7 }",
			base + "limits { max-connections 5; max-body-size 0 }\nlimits { max-body-size 7; max-connections 0 }",
			"limits { max-connections 6; max-body-size 7 }\n" + base + "limits { max-connections 5 }\nlimits { max-connections 8 }",
		},
	} {
		first := load(t, spellings[0])
		for _, s := range spellings[1:] {
			if d := Diff(first, load(t, s)); len(d) > 0 {
				t.Errorf("%s: %s\ndiffers from the first spelling: %q", name, s, d)
			}
		}
	}
}

// TestFragmentsAreDefaults checks that a fragment at top level is the default below it and
// that the nearest block wins, key by key.
func TestFragmentsAreDefaults(t *testing.T) {
	c := load(t, `timeouts { request-secs 40; read-secs 20; connect-secs 3 }
limits { max-connections 50; max-body-size 100 }
policies { request-headers { set { "A" "top"; "B" "top" } } }
listeners { listener "l" { address ":80"; limits { max-connections 10 }; timeouts { idle-secs 9 } } }
routes {
    route "r" { upstream "u"; timeouts { read-secs 5 }; policies { request-headers { set "a" "own" } } }
    route "s" { priority 1; upstream "u" }
}
upstreams { upstream "u" { target "h:1"; timeouts { request-secs 7 } } }
`)
	l, u := c.Listeners[0], c.Upstreams[0]
	if l.Limits.MaxConnections.V != 10 || l.Limits.MaxBodySize.V != 100 || l.Timeouts.Idle.V != 9*time.Second || l.Timeouts.Read.V != 20*time.Second {
		t.Errorf("listener = %+v %+v", l.Limits, l.Timeouts)
	}
	near := EffectiveTimeouts(l, c.Routes[0], u)
	if near.Read.V != 5*time.Second || near.Request.V != 7*time.Second || near.Connect.V != 3*time.Second || near.Write.V != 15*time.Second {
		t.Errorf("EffectiveTimeouts = %+v", near)
	}
	set := func(r *Route) string {
		var all []string
		for _, e := range r.Policies.RequestHeaders.Set {
			all = append(all, e.Name+"="+e.Value.Text)
		}
		return strings.Join(all, " ")
	}
	if got := set(c.Routes[0]); got != "a=own B=top" {
		t.Errorf("edits of r = %q, want its own A and the top's B", got)
	}
	if got := set(c.Routes[1]); got != "A=top B=top" {
		t.Errorf("edits of s = %q, want those of the top", got)
	}
}

func TestRepeatedLimitsNoteBothPlaces(t *testing.T) {
	_, _, diags := LoadBytes("config.kdl", []byte("limits { max-connections 1 }\n"+base+"\nlimits { max-connections 2 }\n"), Options{Env: noEnv})
	if len(diags) != 1 || diags.HasErrors() || diags[0].Span.Start.Line != 6 || len(diags[0].Related) != 1 || diags[0].Related[0].Span.Start.Line != 1 {
		t.Errorf("diagnostics = %v, want one warning with both places", diags)
	}
}

func TestEnvironment(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"HOST": "127.0.0.9", "EMPTY": ""}[name]
		return v, ok
	}
	text := strings.NewReplacer("127.0.0.1:9000", "${HOST}:${PORT:-81}", "127.0.0.1:8080", "${EMPTY:-127.0.0.2}:80").Replace(base) +
		`system { pid-file "$${HOST}"; state-dir "a${EMPTY}b" }
policies { request-headers { set "X" "${HOST} ${host}" } }`
	c, _, diags := LoadBytes("config.kdl", []byte(text), Options{Env: env})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, x := range []struct{ got, want string }{
		{c.Upstreams[0].Targets[0].Address.V, "127.0.0.9:81"},
		{c.Listeners[0].Addresses[0].V, "127.0.0.2:80"},
		{c.System.PIDFile.V, "${HOST}"},
		{c.System.StateDir.V, "ab"},
		{c.Policies.RequestHeaders.Set[0].Value.Text, "127.0.0.9 ${host}"},
	} {
		if x.got != x.want {
			t.Errorf("value = %q, want %q", x.got, x.want)
		}
	}
	if o := c.Upstreams[0].Targets[0].Address.From; !o.Env || !strings.Contains(o.String(), "environment") {
		t.Errorf("origin = %v, want the environment named", o)
	}
}

func TestInclude(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.kdl": "include \"conf.d/*.kdl\"\nlisteners { listener \"l\" { address \":80\" } }\n",
		"a.kdl":      "routes { route \"a\" { upstream \"u\" } }\nlimits { max-connections 9 }\n",
		"b.kdl":      "routes { route \"b\" { priority 2; upstream \"u\" } }\nlimits { max-connections 4 }\nupstreams { upstream \"u\" { target \"h:1\" } }\n",
	} {
		path := filepath.Join(dir, "conf.d", name)
		if name == "config.kdl" {
			path = filepath.Join(dir, name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, sources, diags := Load(filepath.Join(dir, "config.kdl"), Options{Env: noEnv})
	if diags.HasErrors() || len(c.Routes) != 2 || c.Limits.MaxConnections.V != 4 || len(sources.Names) != 3 {
		t.Errorf("Load = %d routes, %v, %v, %v", len(c.Routes), c.Limits.MaxConnections, sources.Names, diags)
	}
	if f := c.Routes[1].From.File; filepath.Base(f) != "b.kdl" {
		t.Errorf("route b stands in %q", f)
	}
}
