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
	cmdFaults    = "sentinel errors --since 15m --all"
	cmdHealth    = "sentinel upstreams"
	cmdBreaker   = "sentinel events --since 15m --kind breaker,health"
	cmdPending   = "curl -s localhost:9090/metrics | grep pending_requests"
	cmdOpen      = "curl -s localhost:9090/metrics | grep open_connections"
	cmdLatency   = "sentinel slow --since 15m"
	cmdJournal   = "journalctl -u sentinel --since '5 minutes ago' | grep ERROR | tail -20"
	cmdClients   = "sentinel top clients"
	cmdBans      = "sentinel bans"
	cmdPolicies  = "curl -s localhost:9090/metrics | grep sentinel_policy_decisions"
	cmdConfig    = "sentinel config show"
	cmdValidate  = "sentinel --validate --config /etc/sentinel/config.kdl"
	cmdReachable = "nc -zv -w 3 HOST PORT"
	cmdRawAnswer = "curl -sv --http1.1 http://HOST:PORT/PATH -o /dev/null"
)
