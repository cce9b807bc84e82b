package system

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const attackPages = "../../docs/attacks"

// attacked is the configuration that the pages find: clients are those that a proxy in front
// names.
const attacked = `
system { pid-file "$DIR/sentinel.pid"; state-dir "$DIR/state"; admin-socket "$DIR/admin.sock"; trusted-proxies "127.0.0.1" }
`

const attackedRoutes = `
routes { route "default" { upstream "backend" } }
`

const attackedUpstreams = `
upstreams { upstream "backend" { target "$ORIGIN"; queue { max-pending 10 }; connection-pool { max-connections 100 } } }
`

// mayPrintNothing are commands that may find nothing to tell of.
var mayPrintNothing = regexp.MustCompile(`^ss |^sentinel events`)

// TestAttackPages types what the pages about attacks say, in their order, into a shell of a
// machine where a proxy runs that is asked too much by 192.0.2.7.
func TestAttackPages(t *testing.T) {
	tool(t, "curl", "curl")
	pages, err := filepath.Glob(attackPages + "/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("pages = %v, %v", pages, err)
	}
	block := regexp.MustCompile("(?s)```(sh|kdl)\n(.*?)```")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := block.FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			continue // the list of the pages
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			for _, part := range []string{"\n## See it\n", "\n## Type\n", "\n## What it changes\n", "\n## Undo\n"} {
				if !strings.Contains(string(text), part) {
					t.Errorf("the page has no part %q", part)
				}
			}
			p := startAttacked(t)
			for _, b := range blocks {
				if string(b[1]) == "kdl" {
					p.prepend(string(b[2]))
					continue
				}
				for line := range strings.Lines(string(b[2])) {
					p.typeLine(strings.TrimSpace(line))
				}
			}
		})
	}
}

// besieged is a proxy under attack.
type besieged struct {
	*proxy
	origin string
}

func startAttacked(t *testing.T) *besieged {
	t.Helper()
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }))
	t.Cleanup(o.Close)
	p := &besieged{newProxy(t), o.Listener.Addr().String()}
	p.prepend("")
	p.launch()
	for range 50 {
		r, _ := http.NewRequest("GET", p.url("/login"), nil)
		r.Header.Set("X-Forwarded-For", "192.0.2.7")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	return p
}

// prepend puts lines in front of the file; a block of routes or upstreams takes the place of
// the one there.
func (p *besieged) prepend(lines string) {
	text := lines + attacked
	if !strings.Contains(lines, "routes {") {
		text += attackedRoutes
	}
	if !strings.Contains(lines, "upstreams {") {
		text += attackedUpstreams
	}
	p.write(strings.NewReplacer("$ORIGIN", p.origin, "10.0.0.1:8080", p.origin).Replace(text))
}

// typeLine runs a line and wants it to succeed and to print something.
func (p *besieged) typeLine(line string) {
	p.t.Helper()
	_, port, _ := strings.Cut(p.http, ":")
	command := strings.ReplaceAll(p.pasted(line), ":8080", ":"+port)
	setting := "export PATH=" + programs + ":$PATH SENTINEL_CONFIG=" + p.config() + "; set -o pipefail; "
	out := shell(p.t, p.dir, setting+command+"; echo \"exit=$?\"")
	said, code, _ := strings.Cut(out, "exit=")
	if strings.TrimSpace(code) != "0" {
		p.t.Errorf("%s\nprinted %s", line, out)
	}
	if strings.TrimSpace(said) == "" && !mayPrintNothing.MatchString(line) {
		p.t.Errorf("%s\nprinted nothing", line)
	}
	if line == "sentinel top clients" && !strings.Contains(said, "192.0.2.7") {
		p.t.Errorf("%s\ndoesn't show the attacker: %s", line, said)
	}
}
