package runbook

import (
	"fmt"
	"strings"
	"time"

	"sentinel/internal/testkit/machine"
	"sentinel/internal/testkit/pki"
)

// prepend is an edit that puts a text before the file.
func prepend(text string) string {
	return fmt.Sprintf(`{ echo '%s'; cat "$1"; } >"$1.edited"; cat "$1.edited" >"$1"`, text)
}

// withoutFirst is an edit that takes the first target of primary-backend out.
const withoutFirst = `sed -i '/10.0.0.1:9000/d' "$1"`

// scenarios are the troubles that the procedures are for. Each procedure is gone through by
// one-command forms and by hand.
func scenarios() []scenario {
	var all []scenario
	for _, group := range [][]scenario{healthy(), crashes(), unanswered(), upstreams(), errors(), memory(), certificates(), reloads(), attacks(), slowness()} {
		all = append(all, group...)
	}
	return all
}

func healthy() []scenario {
	return []scenario{
		{name: "first five minutes", procedure: "first-five-minutes"},
		{name: "first five minutes by hand", procedure: "first-five-minutes", flags: "--by-hand"},
		{name: "quick reference", procedure: "quick-reference", undo: true},
		{name: "quick reference by hand", procedure: "quick-reference", flags: "--by-hand"},
		{name: "post-incident", procedure: "post-incident", plant: func(s *site) { s.Shell("sentinel incident start --summary x") }},
		{name: "post-incident by hand", procedure: "post-incident", flags: "--by-hand --step 1"},
	}
}

func crashes() []scenario {
	dead := func(s *site) {
		s.Shell("systemctl kill -s KILL sentinel")
		s.Await(`systemctl is-failed sentinel`)
	}
	broken := func(s *site) {
		s.Write(machine.Config, "routes { nonsense\n", 0o644)
		dead(s)
	}
	taken := func(s *site) {
		s.Run("systemctl", "stop", "sentinel")
		s.Run("systemd-run", "-q", "--unit=other", "nc", "-lk", "8080")
		s.Await(`ss -ltnpH 'sport = :8080' | grep nc`)
		s.Shell("systemctl start sentinel")
		s.Await(`systemctl is-failed sentinel`)
	}
	// systemd keeps the sockets meanwhile, and nobody may be told to end it.
	verdict := func(s *site) {
		broken(s)
		if out := s.Shell("sentinel diagnose"); !strings.Contains(out, "config-invalid") || strings.Contains(out, "kill 1\n") {
			s.t.Errorf("diagnose of a start that the file breaks:\n%s", out)
		}
	}
	return []scenario{
		{name: "crash, broken file", procedure: "process-crash", plant: verdict, unmet: []string{"6"}, page: true},
		{name: "crash, broken file, by hand", procedure: "process-crash", flags: "--by-hand", plant: broken, unmet: []string{"6"}},
		{name: "crash, taken back", procedure: "process-crash", flags: "--step 7", plant: broken, undo: true},
		{name: "crash, port taken", procedure: "process-crash", plant: taken, page: true},
	}
}

func unanswered() []scenario {
	frozen := func(s *site) { s.Shell("kill -STOP $(cat /var/run/sentinel.pid)") }
	return []scenario{
		{name: "frozen", procedure: "health-check-failure", plant: frozen, page: true},
		{name: "frozen, by hand", procedure: "health-check-failure", flags: "--by-hand", plant: frozen},
	}
}

func upstreams() []scenario {
	dead := func(s *site) {
		s.load("203.0.113.9", "/api/x")
		s.first.die()
		s.Await(`sentinel upstreams | grep unhealthy`)
	}
	gone := func(s *site) {
		s.load("203.0.113.9", "/api/x")
		s.first.die()
		s.second.die()
		s.answers("/api/x", 503)
	}
	return []scenario{
		{name: "target dead", procedure: "upstream-failure", plant: dead, undo: true, page: true},
		{name: "target dead, by hand", procedure: "upstream-failure", flags: "--by-hand", plant: dead, edit: withoutFirst},
		{
			name: "upstream gone", procedure: "upstream-failure", flags: "--step 1,2,6b,7", env: "FALLBACK=backup-backend", plant: gone, page: true, undo: true,
			then: func(s *site) { s.answers("/api/x", 200) },
		},
		{
			name: "upstream gone, by hand", procedure: "upstream-failure", flags: "--by-hand --step 1,2,6b,7", plant: gone,
			edit: `sed -i 's/^        upstream "primary-backend"/&\n        fallback-upstream "backup-backend"/' "$1"`,
			then: func(s *site) { s.answers("/api/x", 200) },
		},
		{
			name: "checks too strict", procedure: "upstream-failure", flags: "--step 6c", plant: dead,
			edit: `sed -i 's/timeout-secs 1;\(.*\)unhealthy-threshold 2/timeout-secs 10;\1unhealthy-threshold 5/' "$1"`,
		},
	}
}

func errors() []scenario {
	failing := func(s *site) {
		s.first.status.Store(500)
		s.second.cuts.Store(true)
		s.load("203.0.113.9", "/api/x")
		s.Await(`sentinel top faults | grep -E '^[1-9][0-9]'`)
	}
	return []scenario{
		{name: "errors", procedure: "high-error-rate", plant: failing, undo: true},
		{name: "errors, less load", procedure: "high-error-rate", flags: "--step 7b", undo: true},
		{name: "errors, by hand", procedure: "high-error-rate", flags: "--by-hand", plant: failing, edit: prepend("timeouts { request-secs 60; read-secs 30 }"), unmet: []string{"8"}},
		{
			name: "errors by too much load", procedure: "high-error-rate", flags: "--by-hand --step 7b,8",
			edit: prepend(`rate-limit { requests-per-second 50; key "client_ip"; action "block" }`),
		},
	}
}

func memory() []scenario {
	tight := func(s *site) {
		s.web.delay.Store(int64(time.Minute))
		s.hold("203.0.113.9", "/large", 20)
		s.Write(machine.Config, config+"limits { max-memory \"16MiB\" }\n", 0o644)
		s.Run("sentinel", "reload")
		s.Await(`curl -s localhost:9090/metrics | grep '^sentinel_memory_stage [1-3]'`)
	}
	return []scenario{
		{name: "memory", procedure: "memory-exhaustion", plant: tight, page: true, undo: true},
		{name: "memory, by hand", procedure: "memory-exhaustion", flags: "--by-hand", plant: tight, undo: true},
	}
}

func certificates() []scenario {
	expired := func(s *site) {
		s.certificate("server", pki.Server("www.example.com").Until(time.Now().Add(-time.Hour)))
		s.Shell("systemctl restart sentinel")
		s.Await(`curl -sf localhost:8080/health`)
		s.Shell(`echo | openssl s_client -verify_return_error -connect localhost:443; true`)
		s.renewal()
	}
	return []scenario{
		{name: "certificate expired", procedure: "tls-and-certificates", plant: expired, page: true},
		{name: "certificate expired, by hand", procedure: "tls-and-certificates", flags: "--by-hand", plant: expired, undo: true},
	}
}

func reloads() []scenario {
	broken := func(s *site) {
		s.Write(machine.Config, config+"routes { nonsense }\n", 0o644)
		s.Shell("kill -HUP $(cat /var/run/sentinel.pid)")
		s.Await(`curl -s localhost:9090/metrics | grep '^sentinel_config_reload_last_successful 0'`)
	}
	return []scenario{
		{name: "reload broken", procedure: "reload-failure", plant: broken, edit: `sed -i '$d' "$1"`},
		{name: "reload broken, one command", procedure: "reload-failure", flags: "--step 1,2,3,4,5b,6", plant: broken, page: true},
		{name: "reload broken, by hand", procedure: "reload-failure", flags: "--by-hand", plant: broken, edit: `sed -i '$d' "$1"`},
		{name: "reload broken, taken back", procedure: "reload-failure", flags: "--step 5b", plant: broken, undo: true},
		{name: "reload broken, taken back by hand", procedure: "reload-failure", flags: "--by-hand --step 5b", plant: broken, undo: true},
	}
}

func attacks() []scenario {
	flood := func(s *site) {
		s.load("192.0.2.7", "/login")
		s.load("192.0.2.8", "/")
		s.Await(`sentinel top clients | grep -E '^[1-9][0-9]'`)
	}
	const client = "CLIENT=192.0.2.7"
	return []scenario{
		{name: "attack", procedure: "attack", env: client, plant: flood, undo: true, page: true},
		{name: "attack, by hand", procedure: "attack", flags: "--by-hand", env: client, plant: flood, undo: true},
		{
			name: "attack of many", procedure: "attack", flags: "--step 5b,7", plant: flood, page: true, undo: true,
		},
		{
			name: "attack of many, challenged", procedure: "attack", flags: "--step 5c,7", plant: flood, page: true, undo: true,
		},
		{
			name: "attack of many, by hand", procedure: "attack", flags: "--by-hand --step 5b", plant: flood,
			edit: prepend(`rate-limit { requests-per-second 5; burst 10; key "client_ip"; action "block" }`),
		},
		{
			name: "attack of many, challenged by hand", procedure: "attack", flags: "--by-hand --step 5c", plant: flood,
			edit: prepend(`security { challenge-mode "enabled"; challenge-threshold 100 }`),
		},
	}
}

func slowness() []scenario {
	slow := func(s *site) {
		s.first.delay.Store(int64(900 * time.Millisecond))
		s.load("203.0.113.9", "/api/x")
		s.load("192.0.2.7", "/")
		s.Await(`curl -s localhost:9090/metrics | grep -E 'upstream_request_duration.*primary.*"0.99"} (0.9|[1-9])'`)
	}
	return []scenario{
		{name: "slow", procedure: "performance-degradation", plant: slow, undo: true, page: true},
		{name: "slow, by hand", procedure: "performance-degradation", flags: "--by-hand", plant: slow, edit: withoutFirst},
		{
			name: "slow, other balancing", procedure: "performance-degradation", flags: "--step 6,7b", plant: slow,
			edit: `sed -i 's/^    upstream "primary-backend" {/&\n        load-balancing "peak_ewma"/' "$1"`,
		},
	}
}
