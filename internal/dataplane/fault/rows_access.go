package fault

// accessRows holds requests that policies of access refuse, and why these can't decide.
func accessRows() map[Kind]Row {
	return map[Kind]Row{
		Unauthorized: {
			Name: "Unauthorized", Label: "unauthorized", Code: "C60", Side: SideClient, Status: 401, Routed: true,
			Text:     "credentials missing or wrong",
			Meaning:  "The route asks for a password or a token, and the request has none that is right.",
			Causes:   []string{"a browser before it has asked its user", "an expired token", "a wrong password", "somebody who guesses passwords"},
			Remedy:   "Look at who sends it; many from few addresses call for a rate limit.",
			Commands: []string{cmdClients, cmdPolicies},
		},
		ClaimsRefused: {
			Name: "ClaimsRefused", Label: "claims_refused", Code: "C61", Side: SideClient, Status: 403, Routed: true,
			Text:     "token does not allow this",
			Meaning:  "The token is right, but a claim that the route asks for is missing or another one.",
			Causes:   []string{"a user without the role or scope", "a client that asked for too few scopes"},
			Remedy:   "Compare require-claim of the route with the token.",
			Commands: []string{cmdConfig, cmdPolicies},
		},
		AuthRefused: {
			Name: "AuthRefused", Label: "auth_refused", Code: "C62", Side: SideClient, Status: 403, Routed: true,
			Text:     "refused by the authorization service",
			Meaning:  "The service of forward-auth has answered 401, 403 or a redirect, which went to the client.",
			Causes:   []string{"a client that isn't logged in", "a user who may not"},
			Remedy:   "Ask the service, whose log knows more.",
			Commands: []string{cmdPolicies},
		},
		PreflightRefused: {
			Name: "PreflightRefused", Label: "preflight_refused", Code: "C63", Side: SideClient, Status: 403, Routed: true,
			Text:     "cross-origin request not allowed",
			Meaning:  "A browser asked whether a page of another origin may send such a request, and cors of the route doesn't allow it.",
			Causes:   []string{"an origin, method or field that is missing in cors", "a page of somebody else"},
			Remedy:   "Add the origin, method or field to cors if the page is yours.",
			Commands: []string{cmdConfig},
		},
		AuthUnavailable: {
			Name: "AuthUnavailable", Label: "auth_unavailable", Code: "U60", Side: SideUpstream, Status: 503, Routed: true, RetryAfter: 1,
			Text:     "authorization service failed",
			Meaning:  "The service of forward-auth gave no answer, or one that is neither yes nor no, so the request is refused.",
			Causes:   []string{"the service is down or slow", "path leads to a page that answers 404 or 5xx", "an answer above max-response-bytes"},
			Remedy:   "Ask its path by hand and look at the health of its upstream.",
			Commands: []string{cmdHealth, cmdPolicies, cmdRawAnswer},
		},
		TokenKeysMissing: {
			Name: "TokenKeysMissing", Label: "token_keys_missing", Code: "U61", Side: SideUpstream, Status: 503, Routed: true, RetryAfter: 5,
			Text:     "no keys to check tokens with",
			Meaning:  "The keys of jwks-url haven't come yet, or have been away for too long, so tokens are refused.",
			Causes:   []string{"the identity provider is down", "a wrong jwks-url", "a certificate that isn't trusted"},
			Remedy:   "Fetch jwks-url by hand from this host; the events tell the cause.",
			Commands: []string{"sentinel events", "curl -s localhost:9090/metrics | grep sentinel_token_keys"},
		},
		RouteDisabled: {
			Name: "RouteDisabled", Label: "route_disabled", Code: "S61", Side: SideSelf, Status: 503, Routed: true, RetryAfter: 30,
			Text:     "route disabled by an operator",
			Meaning:  "Somebody has disabled the route, for a while or in the configuration.",
			Causes:   []string{"an emergency change that hasn't ended yet", "disabled in the route"},
			Remedy:   "Look who has disabled it and why; end the emergency change when its reason is gone.",
			Commands: []string{"sentinel emergency list", cmdConfig},
		},
		PasswordChecksBusy: {
			Name: "PasswordChecksBusy", Label: "password_checks_busy", Code: "S60", Side: SideSelf, Status: 503, Routed: true, RetryAfter: 1,
			Text:     "too many passwords to check",
			Meaning:  "As many passwords are being checked as max-concurrent-checks allows, and as many requests wait.",
			Causes:   []string{"somebody who guesses passwords", "hashes of a high cost", "many users at once after a reload"},
			Remedy:   "Put a rate limit on the route; then raise max-concurrent-checks if there are processors to spare.",
			Commands: []string{cmdClients, cmdPolicies},
		},
	}
}
