package fault

// rows is the table. It is written once, here, and never changes.
var rows = buildRows()

func buildRows() [Count]Row {
	t := [Count]Row{None: {Name: "None", Label: "none", Code: "-", Text: "none"}}
	for _, part := range []map[Kind]Row{
		clientRequestRows(), clientConductRows(), clientConnectionRows(), clientTLSRows(), upstreamConnectRows(), upstreamTLSRows(),
		upstreamResponseRows(), upstreamCapacityRows(), upstreamStreamRows(), selfRows(), clientH2Rows(),
		accessRows(),
	} {
		for k, r := range part {
			t[k] = r
		}
	}
	return t
}

// Commands that several rows share.
const (
	cmdFaults    = "curl -s localhost:9090/metrics | grep sentinel_faults_total"
	cmdHealth    = "curl -s localhost:9090/metrics | grep 'upstream_health{'"
	cmdBreaker   = "curl -s localhost:9090/metrics | grep circuit_breaker_state"
	cmdPending   = "curl -s localhost:9090/metrics | grep pending_requests"
	cmdOpen      = "curl -s localhost:9090/metrics | grep open_connections"
	cmdLatency   = "curl -s localhost:9090/metrics | grep 'upstream_request_duration.*quantile=\"0.99\"'"
	cmdJournal   = "journalctl -u sentinel --since '5 minutes ago' | grep ERROR | tail -20"
	cmdClients   = "journalctl -u sentinel --since '5 minutes ago' -o json | jq -r .CLIENT_IP | sort | uniq -c | sort -rn | head -20"
	cmdBans      = "sentinel bans"
	cmdPolicies  = "curl -s localhost:9090/metrics | grep sentinel_policy_decisions"
	cmdConfig    = "sentinel config show"
	cmdValidate  = "sentinel --validate --config /etc/sentinel/config.kdl"
	cmdReachable = "nc -zv -w 3 HOST PORT"
	cmdRawAnswer = "curl -sv --http1.1 http://HOST:PORT/PATH -o /dev/null"
)
