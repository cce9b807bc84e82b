package main

import (
	"debug/buildinfo"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed templates
var templates embed.FS

// peer is one proxy the harness can measure.
type peer struct {
	name       string
	configFile string // its template in templates/ has the suffix .tmpl
	env        []string
	argv       []string // {config}, {listen} and {origin} are replaced
	version    []string // prints the version in its first line; nil: read it from the program
	offset     int      // of its ports from the base port
	plain      bool     // without what a scenario asks of its upstream
}

const (
	// reference is the peer that ratios are taken to.
	reference = "haproxy"
	sentinel  = "sentinel"
	// sentinelPlain is Sentinel as scenario 1k has it, where another scenario compares with it.
	sentinelPlain = "sentinel-plain"
)

// peers returns every proxy, Sentinel last.
func peers(o options) []peer {
	caddy := filepath.Join(o.out, "caddy")
	return []peer{
		{
			name: reference, configFile: "haproxy.cfg", offset: 1,
			argv:    []string{"haproxy", "-db", "-f", "{config}"},
			version: []string{"haproxy", "-v"},
		},
		{
			name: "nginx", configFile: "nginx.conf", offset: 2,
			argv:    []string{"nginx", "-c", "{config}"},
			version: []string{"nginx", "-v"},
		},
		{
			name: "caddy", configFile: "Caddyfile", offset: 3,
			env:  []string{"GOMAXPROCS=1", "GOGC=400"},
			argv: []string{caddy, "run", "--adapter", "caddyfile", "--config", "{config}"},
		},
		{
			name: sentinel, configFile: "sentinel.kdl", offset: 4,
			env:     []string{"GOMAXPROCS=1"},
			argv:    strings.Fields(o.sentinelCommand),
			version: []string{strings.Fields(o.sentinelCommand)[0], "--version"},
		},
	}
}

// choosePeers returns those named in o.proxies, separated by commas.
func choosePeers(o options) ([]peer, error) {
	var chosen []peer
	for name := range strings.SplitSeq(o.proxies, ",") {
		found := false
		for _, p := range peers(o) {
			if p.name == name {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no proxy is called %q", name)
		}
	}
	return chosen, nil
}

// place is what a peer's configuration template may use.
type place struct {
	Host    string   // address that everything listens on
	Listen  string   // host:port of the proxy
	Metrics string   // host:port of its metrics
	Origin  string   // host:port of the origin
	LogSink string   // host:port that takes log lines by TCP
	LogFile string   // file for an access log
	Dir     string   // for everything else the proxy writes
	Targets []string // host:port of each, where there are several
	CertDir string   // where the certificate is
	settings
}

// place lays out the addresses and files of p below dir.
func (p peer) place(o options, dir string, s settings) place {
	at := func(offset int) string { return fmt.Sprintf("%s:%d", host, o.basePort+offset) }
	const metricsOffset, sinkOffset = 10, 20
	own := filepath.Join(dir, p.name)
	if p.plain {
		s.TargetCount = 0
	}
	var targets []string
	for i := range s.TargetCount { // the origin's further addresses
		targets = append(targets, fmt.Sprintf("127.0.1.%d:%d", i+1, o.basePort))
	}
	return place{
		Host: host, Listen: at(p.offset), Metrics: at(metricsOffset + p.offset), Origin: at(0),
		LogSink: at(sinkOffset), LogFile: filepath.Join(own, "access.log"), Dir: own, Targets: targets, CertDir: dir, settings: s,
	}
}

// host is the only address the harness uses.
const host = "127.0.0.1"

// writeConfig renders p's configuration for at and returns the command that
// runs p with it.
func (p peer) writeConfig(at place) ([]string, error) {
	if err := os.MkdirAll(at.Dir, 0o755); err != nil {
		return nil, err
	}
	t, err := template.ParseFS(templates, "templates/"+p.configFile+".tmpl")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(at.Dir, p.configFile)
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := t.Execute(f, at); err != nil {
		return nil, err
	}
	replace := strings.NewReplacer("{config}", file, "{listen}", at.Listen, "{origin}", at.Origin)
	argv := make([]string, len(p.argv))
	for i, arg := range p.argv {
		argv[i] = replace.Replace(arg)
	}
	return argv, nil
}

// versionLine names the version of p, for the reader of a report.
func (p peer) versionLine() string {
	if p.version == nil {
		return caddyVersion(p.argv[0])
	}
	out, err := exec.Command(p.version[0], p.version[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || line == "" {
		return "unknown version"
	}
	return line
}

// caddyVersion finds the module version that Caddy was built from: built from
// outside its own repository, the program itself can't say.
func caddyVersion(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown version"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == "github.com/caddyserver/caddy/v2" {
			return m.Version + ", built with " + info.GoVersion
		}
	}
	return "unknown version"
}

// mustTemplate returns an embedded file that is known to exist.
func mustTemplate(name string) string {
	b, err := templates.ReadFile("templates/" + name)
	if err != nil {
		panic(err)
	}
	return string(b)
}
