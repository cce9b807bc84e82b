package system

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/program"
)

// TestRunbookCertificates goes through the runbook's procedure for certificates as an operator
// pastes it, renewal included, and a renewal that would make things worse.
func TestRunbookCertificates(t *testing.T) {
	tool(t, "openssl", "openssl")
	p := newProxy(t)
	address := program.FreeAddress(t)
	paste := func(line string) string {
		t.Helper()
		return p.paste(strings.NewReplacer("/etc/sentinel/certs", filepath.Join(p.dir, "certs"), "localhost:443", address,
			"your.domain.com", "a.example", "/path/to/new/cert.crt", "new.crt", "/path/to/new/key.key", "new.key").Replace(line))
	}
	paste(`mkdir -p /etc/sentinel/certs && cd /etc/sentinel/certs &&
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=CA -days 3650 &&
printf 'subjectAltName=DNS:a.example\n' > names
for i in server ../new; do
    openssl req -newkey rsa:2048 -nodes -keyout $i.key -out $i.csr -subj /CN=a.example
    openssl x509 -req -in $i.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days $([ $i = server ] && echo 60 || echo 90) -extfile names -out $i.crt
done
openssl req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=proxy
openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -days 80 -out client.crt`)
	p.write(`listeners {
    listener "http" { address "$HTTP" }
    listener "https" {
        address "` + address + `"; protocol "https"
        tls { cert-file "certs/server.crt"; key-file "certs/server.key" }
    }
}
routes { route "r" { matches { host "a.example" }; respond 200 "hello\n" }; route "up" { upstream "u" } }
upstreams { upstream "u" { target "127.0.0.1:9"; tls { ca-cert "certs/ca.crt"; client-cert "certs/client.crt"; client-key "certs/client.key" } } }
`)
	p.launch()
	const shownDates = `echo | openssl s_client -connect localhost:443 2>/dev/null | openssl x509 -noout -dates`
	before := paste(shownDates)
	for _, c := range []struct{ line, want string }{
		{`openssl x509 -in /etc/sentinel/certs/server.crt -noout -dates`, `^notBefore=.*\nnotAfter=.*\n$`},
		{`openssl verify -CAfile /etc/sentinel/certs/ca.crt /etc/sentinel/certs/server.crt`, `: OK\n$`},
		{`diff <(openssl x509 -in /etc/sentinel/certs/server.crt -noout -modulus) \
     <(openssl rsa -in /etc/sentinel/certs/server.key -noout -modulus)`, `^$`},
		{`openssl s_client -connect localhost:443 -servername your.domain.com </dev/null`, `(?s)CN = a.example.*BEGIN CERTIFICATE.*TLSv1.3`},
		{`openssl x509 -in /etc/sentinel/certs/client.crt -noout -dates`, `^notBefore=.*\nnotAfter=.*\n$`},
		{`./sentinel certs --config /etc/sentinel/config.kdl`, `(?s)listener +https +server +59 .*certs/server.crt.*upstream +u +client +79 .*upstream +u +authority +3649 `},
		{`./sentinel certs --config /etc/sentinel/config.kdl --warn 30d >/dev/null; echo $?`, `^0\n$`},
		{`./sentinel certs --config /etc/sentinel/config.kdl --warn 70d >/dev/null; echo $?`, `(?s)certs/server.crt: until .*, 59 days left\n1\n$`},
		{`./sentinel certs --config /etc/sentinel/config.kdl --json | grep -c '"days_left"'`, `^3\n$`},
		{`curl -s localhost:9090/metrics | grep certificate_expiry`, `(?m)^sentinel_certificate_expiry_timestamp_seconds\{file="[^"]*/server.crt",name="https",role="server",side="listener"\} 1\.\d+e\+09$`},
	} {
		if got := paste(c.line); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s\nprinted %q, want a match of %s", c.line, got, c.want)
		}
	}

	hup := func() string {
		from := p.log.mark()
		paste(`kill -HUP $(cat /var/run/sentinel.pid)`)
		return p.awaitLog(from, "Configuration reload ")
	}
	paste(`cp /path/to/new/cert.crt /etc/sentinel/certs/server.crt
cp /path/to/new/key.key /etc/sentinel/certs/server.key
chmod 600 /etc/sentinel/certs/server.key`)
	if line := hup(); !strings.Contains(line, "Configuration reload succeeded") {
		t.Errorf("renewal: %s", line)
	}
	after := paste(shownDates)
	if want := paste(`openssl x509 -in /etc/sentinel/certs/server.crt -noout -dates`); after != want || after == before {
		t.Errorf("after the renewal clients see %q, before it %q, the file says %q", after, before, want)
	}

	late := pki.New(t, "CA").Issue(t, pki.Server("a.example").Until(time.Now().Add(-time.Hour)))
	late.Write(t, filepath.Join(p.dir, "certs"), "server")
	if line := hup(); !strings.Contains(line, "ERROR Configuration reload failed") || !strings.Contains(line, "server.crt expired at ") || !strings.Contains(line, "config.kdl:") {
		t.Errorf("an expired one: %s", line)
	}
	if got := paste(shownDates); got != after {
		t.Errorf("after a refused renewal clients see %q, want %q", got, after)
	}
	if got := paste(`./sentinel --validate --config /etc/sentinel/config.kdl; echo $?`); !strings.Contains(got, "server.crt expired at ") || !strings.HasSuffix(got, "\n0\n") {
		t.Errorf("--validate prints %q, want a warning", got)
	}
}
