package runbook

import (
	"regexp"
	"testing"

	"sentinel/internal/testkit/machine"
)

// pasted is a line that operators have in their own notes, and what it has to print. A line
// that isn't here may change; these may not.
type pasted struct {
	line string
	want string // a pattern; empty: it succeeds
}

// paste types lines into a shell of the machine.
func (s *site) paste(lines ...pasted) {
	s.t.Helper()
	for _, c := range lines {
		s.Run("journalctl", "--sync")
		out, err := s.Try("bash", "-c", "cd /usr/bin; "+c.line)
		switch {
		case c.want == "" && err != nil:
			s.t.Errorf("%s\n%v, printed %q", c.line, err, clip(out))
		case !regexp.MustCompile(c.want).MatchString(out):
			s.t.Errorf("%s\nprinted %q, want a match of %s", c.line, clip(out), c.want)
		}
	}
}

const (
	restart  = `systemctl restart sentinel`
	hup      = `kill -HUP $(cat /var/run/sentinel.pid)`
	reloaded = `journalctl -u sentinel --since "1 minute ago" | grep "Configuration reload"`
	validate = `./sentinel --validate --config /etc/sentinel/config.kdl`
)

// TestContract types what is on paper elsewhere, in the troubles that it is for, with the
// real paths, ports, unit and journal.
func TestContract(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, part := range []struct {
		name string
		run  func(*site)
	}{
		{"first look", (*site).pasteFirst},
		{"upstream", (*site).pasteUpstream},
		{"errors", (*site).pasteErrors},
		{"memory", (*site).pasteMemory},
		{"crash", (*site).pasteCrash},
		{"reload", (*site).pasteReload},
		{"certificates", (*site).pasteCertificates},
		{"attack", (*site).pasteAttack},
		{"afterwards", (*site).pasteAfterwards},
	} {
		t.Run(part.name, func(t *testing.T) {
			defer func(outer *testing.T) { s.t = outer }(s.t)
			s.t = t
			part.run(s)
			s.recover()
		})
	}
}

func (s *site) pasteFirst() {
	s.answers("/api/x", 200)
	s.paste(
		pasted{`curl -sf http://localhost:8080/health && echo "OK" || echo "UNHEALTHY"`, `^\{"status":"healthy".*\}\s*OK\n$`},
		pasted{`curl -sf http://localhost:8080/ready && echo "READY" || echo "NOT READY"`, `^\{"status":"ready".*\}\s*READY\n$`},
		pasted{`curl -s localhost:9090/metrics | grep 'requests_total' | awk '/5[0-9][0-9]/ {sum+=$2} END {print "5xx errors:", sum}'`, `^5xx errors: \d+\n$`},
		pasted{`systemctl status sentinel`, `Active: active \(running\)`},
		pasted{`journalctl -u sentinel --since "5 minutes ago" | grep -i error | tail -20`, `^$`},
		pasted{`curl -s localhost:9090/metrics | grep upstream_health`, `sentinel_upstream_health\{target="10.0.0.1:9000",upstream="primary-backend"\} 1\n`},
		pasted{`curl -s localhost:9090/metrics | grep circuit_breaker_state`, `sentinel_circuit_breaker_state\{target="10.0.0.1:9000",upstream="primary-backend"\} 0\n`},
		pasted{`pidof sentinel`, `^\d+\n$`},
		pasted{`curl -sf localhost:8080/health`, `healthy`},
	)
}

func (s *site) pasteUpstream() {
	s.first.die()
	s.Await(`sentinel upstreams | grep unhealthy`)
	s.paste(
		pasted{`curl -s localhost:9090/metrics | grep 'upstream_health{' | grep ' 0'`, `^sentinel_upstream_health\{target="10.0.0.1:9000",upstream="primary-backend"\} 0\n$`},
		pasted{`for target in $(grep -oP 'address "\K[^"]+' /etc/sentinel/config.kdl); do
    echo -n "$target: "
    nc -zv -w 3 ${target%:*} ${target#*:} 2>&1 | grep -o "succeeded\|failed"
done`, `(?m)^0.0.0.0:8080: succeeded\n(.*\n)*10.0.0.1:9000: failed\n10.0.0.2:9000: succeeded\nbackend.service.internal:9000: succeeded\n`},
		pasted{`dig +short backend.service.internal`, `^10\.0\.0\.3\n$`},
		pasted{`traceroute -n 10.0.0.1`, `(?m)^ 1  10\.0\.0\.1 `},
		pasted{`EDITOR=true; $EDITOR /etc/sentinel/config.kdl; ` + hup, ``},
	)
	s.Await(reloaded + ` | grep succeeded`)
}

func (s *site) pasteErrors() {
	s.first.status.Store(500)
	s.second.cuts.Store(true)
	s.load("203.0.113.9", "/api/x")
	s.Await(`journalctl --sync; journalctl -u sentinel --since "5 minutes ago" | grep -q 'status=500' && journalctl -u sentinel --since "5 minutes ago" | grep -q 'status=502'`)
	s.paste(
		pasted{`curl -s localhost:9090/metrics | grep 'requests_total.*status="5' | sort -t'"' -k4`, `sentinel_requests_total\{code="50[02]",route="api",status="5xx"\} [1-9](.*\n)*.*route="default"`},
		pasted{`journalctl -u sentinel --since "5 minutes ago" | grep -oP 'error[^,]*' | sort | uniq -c | sort -rn | head`, `(?m)^ *\d+ error="[a-z ]+"$`},
		pasted{`journalctl -u sentinel --since "5 minutes ago" -o json | jq -r 'select(.PRIORITY == "3") | .MESSAGE' | head -20`, `(?m)^request failed, error="`},
		pasted{`curl -s localhost:9090/metrics | grep 'upstream_request_duration.*quantile="0.99"'`, `(?m)^sentinel_upstream_request_duration_seconds\{upstream="primary-backend",quantile="0.99"\} `},
		pasted{`journalctl -u sentinel | grep ERROR | tail -20`, `request failed, `},
	)
}

func (s *site) pasteMemory() {
	s.paste(
		pasted{`curl -s localhost:9090/metrics | grep process_resident_memory_bytes`, `(?m)^process_resident_memory_bytes \d`},
		pasted{`curl -s localhost:9090/metrics | grep open_connections`, `(?m)^sentinel_open_connections\{listener="http"\} \d+$`},
		pasted{`curl -s localhost:9090/metrics | grep pending_requests`, `(?m)^sentinel_pending_requests\{upstream="primary-backend"\} \d+$`},
		pasted{`pmap -x $(pidof sentinel) | tail -5`, `total kB`},
		pasted{`cat >> /tmp/emergency-limits.kdl << 'EOF'
limits {
    max-connections 5000
    max-connections-per-client 50
}
EOF
cat /etc/sentinel/config.kdl >> /tmp/emergency-limits.kdl
mv /tmp/emergency-limits.kdl /etc/sentinel/config.kdl
` + hup, ``},
	)
	s.Await(`sentinel status | grep 'connections .* of 5000'`)
	s.paste(pasted{restart, ``}, pasted{`sentinel status`, `connections \d+ of 5000`})
}

func (s *site) pasteCrash() {
	s.Write(machine.Config, "routes { nonsense\n", 0o644)
	s.Shell("systemctl kill -s KILL sentinel")
	s.Await(`systemctl is-failed sentinel`)
	s.paste(
		pasted{restart + ` 2>&1; true`, `failed|repeated`},
		pasted{`sleep 5 && systemctl status sentinel`, `Active: failed`},
		pasted{`journalctl -u sentinel --since "10 minutes ago" | tail -100`, `parse error`},
		pasted{`dmesg | grep -i "oom\|killed" | tail -10`, ``},
		pasted{"free -h\ndf -h /var /tmp", `(?s)Mem:.*/tmp`},
		pasted{"cp /etc/sentinel/config.kdl.backup /etc/sentinel/config.kdl\nsystemctl reset-failed sentinel\n" + restart, ``},
		pasted{`systemctl is-active sentinel`, `^active\n$`},
	)
	s.Run("systemctl", "stop", "sentinel")
	s.Run("systemd-run", "-q", "--unit=other", "nc", "-lk", "8080")
	s.Await(`ss -ltnpH 'sport = :8080' | grep nc`)
	s.Shell(restart)
	s.paste(pasted{`journalctl -u sentinel --since "1 minute ago" | tail -100`, `start failed, error="address in use", detail="listener .*http`})
}

func (s *site) pasteReload() {
	s.Write(machine.Config, config+"routes { nonsense }\n", 0o644)
	s.paste(pasted{hup, ``})
	s.Await(reloaded + ` | grep failed`)
	s.paste(
		pasted{`curl -s localhost:9090/metrics | grep config_reload`, `sentinel_config_reload_last_successful 0\n(.*\n)*sentinel_config_reload_total\{result="failure"\} 1\n`},
		pasted{`journalctl -u sentinel --since "10 minutes ago" | grep -i "reload\|config"`, `Configuration reload failed.*config\.kdl:\d+:\d+`},
		pasted{validate + `; echo "exit $?"`, `config\.kdl:\d+:\d+: error(.*\n)+exit 1\n$`},
		pasted{`ls -la /etc/sentinel/config.kdl`, `^-rw-r--r--`},
	)
	s.Write(machine.Config, config, 0o644)
	s.paste(pasted{validate, ``}, pasted{hup, ``})
	s.Await(reloaded + ` | tail -1 | grep succeeded`)
}

func (s *site) pasteCertificates() {
	s.paste(pasted{`mkdir -p /path/to/new; cd /etc/sentinel/certs
printf 'subjectAltName=DNS:your.domain.com\n' >names
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=CA -days 3650
for i in server /path/to/new/new client; do
    openssl req -newkey rsa:2048 -nodes -keyout $i.key -out $i.csr -subj /CN=your.domain.com
    openssl x509 -req -in $i.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days $([ $i = server ] && echo 60 || echo 90) -extfile names -out $i.crt
done
mv /path/to/new/new.crt /path/to/new/cert.crt; mv /path/to/new/new.key /path/to/new/key.key
chown sentinel *; ` + restart, ``})
	const shown = `echo | openssl s_client -connect localhost:443 2>/dev/null | openssl x509 -noout -dates`
	before := s.Shell(shown)
	s.paste(
		pasted{`openssl x509 -in /etc/sentinel/certs/server.crt -noout -dates`, `^notBefore=.*\nnotAfter=.*\n$`},
		pasted{`openssl verify -CAfile /etc/sentinel/certs/ca.crt /etc/sentinel/certs/server.crt`, `: OK\n$`},
		pasted{`diff <(openssl x509 -in /etc/sentinel/certs/server.crt -noout -modulus) \
     <(openssl rsa -in /etc/sentinel/certs/server.key -noout -modulus)`, `^$`},
		pasted{`openssl s_client -connect localhost:443 -servername your.domain.com </dev/null`, `(?s)BEGIN CERTIFICATE.*TLSv1.3`},
		pasted{`openssl x509 -in /etc/sentinel/certs/client.crt -noout -dates`, `^notBefore=`},
		pasted{`cp /path/to/new/cert.crt /etc/sentinel/certs/server.crt
cp /path/to/new/key.key /etc/sentinel/certs/server.key
chmod 600 /etc/sentinel/certs/server.key`, ``},
		pasted{hup, ``},
	)
	s.Await(reloaded + ` | tail -1 | grep succeeded`)
	if after := s.Shell(shown); after == before || after != s.Shell(`openssl x509 -in /etc/sentinel/certs/server.crt -noout -dates`) {
		s.t.Errorf("after the renewal clients see %q, before it %q", after, before)
	}
	s.Write(certs+"/ca.crt", string(s.ca.PEM()), 0o644)
}

func (s *site) pasteAttack() {
	s.load("192.0.2.7", "/login")
	s.Await(`sentinel top clients | grep -E '^[1-9][0-9]'`)
	s.paste(
		pasted{`curl -s localhost:9090/metrics | grep requests_total`, `(?m)^sentinel_requests_total\{code="200",route="default",status="2xx"\} [1-9]`},
		pasted{`journalctl -u sentinel --since "5 minutes ago" -o json | \
    jq -r '.CLIENT_IP' | sort | uniq -c | sort -rn | head -20`, `(?m)^ *\d+ 192\.0\.2\.7$`},
		pasted{`journalctl -u sentinel --since "5 minutes ago" | \
    grep -oP 'path="[^"]*"' | sort | uniq -c | sort -rn | head -20`, `(?m)^ *\d+ path="/login"$`},
		pasted{`for ip in 1.2.3.4 5.6.7.8; do
    iptables -A INPUT -s $ip -j DROP
done; iptables -S INPUT`, `-A INPUT -s 5.6.7.8/32 -j DROP`},
	)
	for _, fragment := range []string{
		"policies {\n    rate-limit {\n        requests-per-second 5\n        key \"client_ip\"\n        action \"block\"\n    }\n}\n",
		"security {\n    challenge-mode \"enabled\"\n    challenge-threshold 100  // requests a minute\n}\n",
		"limits {\n    max-connections 10000\n    max-connections-per-client 10\n    max-requests-per-connection 100\n}\n",
		"timeouts {\n    request-secs 60    // was 30\n    read-secs 30       // was 15\n}\nrate-limit {\n    requests-per-second 50  // less\n}\n",
	} {
		s.Write(machine.Config, fragment+config, 0o644)
		s.paste(pasted{validate, ``}, pasted{`sentinel reload`, `Configuration reload succeeded`})
	}
}

func (s *site) pasteAfterwards() {
	s.paste(
		pasted{`INCIDENT_ID="INC-$(date +%Y%m%d)-001"
mkdir -p /var/log/sentinel/incidents/$INCIDENT_ID
journalctl -u sentinel --since "1 hour ago" > /var/log/sentinel/incidents/$INCIDENT_ID/sentinel.log
curl -s localhost:9090/metrics > /var/log/sentinel/incidents/$INCIDENT_ID/metrics.txt
cp /etc/sentinel/config.kdl /var/log/sentinel/incidents/$INCIDENT_ID/
free -h > /var/log/sentinel/incidents/$INCIDENT_ID/memory.txt
df -h > /var/log/sentinel/incidents/$INCIDENT_ID/disk.txt
ss -s > /var/log/sentinel/incidents/$INCIDENT_ID/connections.txt
ls /var/log/sentinel/incidents/$INCIDENT_ID`, `(?s)config.kdl.*connections.txt.*metrics.txt`},
		pasted{restart, ``},
		pasted{`systemctl stop sentinel; systemctl is-active sentinel`, `^inactive\n$`},
		pasted{`systemctl start sentinel; systemctl is-active sentinel`, `^active\n$`},
	)
}
