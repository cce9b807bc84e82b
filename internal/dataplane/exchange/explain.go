package exchange

import (
	"net/netip"
	"time"

	"sentinel/internal/dataplane/challenge"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/limit"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/dataplane/upstream"
)

// Dry is what a request would meet. It is found by the phases that serve requests, or by the
// parts of them that only look; nothing is sent, counted, or taken out of a limit.
type Dry struct {
	Snapshot  *snapshot.Snapshot
	Listener  *snapshot.Listener
	Client    netip.Addr
	Trusted   bool // the peer's forwarded fields are believed
	Health    bool // it is answered as /health
	Ready     bool // or as /ready
	Reserved  bool // or as an answer to a challenge
	Preflight bool // or as a preflight, by its route
	// Fault is why the request ends before a policy is asked, or behind them, by what it is.
	Fault  fault.Kind
	Route  *snapshot.Route // nil where none is found
	Rules  []route.Verdict[*snapshot.Route]
	Path   string // in the form that is matched
	Sent   string // as the upstream sees it
	Judged []Judged
	Onward *Onward // nil where no upstream is asked
}

// Judged is what one policy says.
type Judged struct {
	Policy string // in fixed words
	Name   string // of the limit or ban
	// Refuses is what it would refuse the request with; None lets it on.
	Refuses fault.Kind
	Shadow  bool // it would only count that
	// Needs says that the client has to prove who it is, which isn't tried; Given that it brings
	// something for that.
	Needs, Given bool
	Limit        limit.Decision // of rate limits
	Count, Max   int            // how many there are, and may be; 0 is no bound
}

// Onward is how the request would reach an upstream.
type Onward struct {
	Upstreams  []*upstream.Upstream // of the split
	Shares     []float64
	Upstream   *upstream.Upstream // the one that gets it; of several without affinity one that may
	Sticky     bool               // a cookie of the client names a target
	Targets    []upstream.Candidate
	Target     *upstream.Target // nil where none takes it
	Request    time.Duration    // for the whole exchange
	Covers     bool             // that bounds the content, too
	Head       time.Duration    // silence until the head of the response
	Silence    time.Duration    // between two reads
	InProgress int
	Pending    int
	Limits     queue.Limits
	Fallback   *upstream.Upstream
	Repeats    bool // the method allows another try after a byte was sent
}

// Explain returns what r would meet. Its client is filled in as by a connection.
func (p *Proxy) Explain(r *message.Request) *Dry {
	x := p.begin(r, nil)
	defer x.free()
	d := &Dry{Snapshot: x.s, Listener: x.ln, Client: x.client, Trusted: x.trusted}
	asked, health := x.probes()
	if d.Health, d.Ready = asked && health, asked && !health; asked {
		return d
	}
	if d.Fault = x.directed(); d.Fault != fault.None {
		return d
	}
	d.Fault = x.match()
	d.Path, d.Reserved, d.Route = string(x.path), x.reserved, x.route
	if (d.Fault == fault.None || d.Fault == fault.NoRoute) && !d.Reserved {
		in := x.input()
		if _, ok := x.preflightRoute(in); ok { // it is the request asked about that has a route
			in.Method, _ = preflightMethod(&x.req.Head)
		}
		d.Rules = x.s.Table.Explain(&in)
	}
	if d.Route == nil {
		return d
	}
	_, preflight := preflightMethod(&r.Head)
	d.Preflight = preflight && x.route.Policies != nil && x.route.Policies.CORS != nil
	d.Judged = x.judge()
	if d.Preflight {
		return d
	}
	d.Fault = x.shape()
	if d.Sent = string(x.path); x.route.Forward != nil && d.Fault == fault.None {
		d.Onward = x.onward()
	}
	return d
}

// Describe returns what is known of a peer, as for a connection of its.
func (p *Proxy) Describe(addr netip.AddrPort) *message.Client { return p.describe(addr) }

// shape asks what of the request itself keeps it from being forwarded, and rewrites its path.
func (x *exchange) shape() fault.Kind {
	if k := x.refusesTunnel(); k != fault.None {
		return k
	}
	if k := x.rewrite(); k != fault.None {
		return k
	}
	if x.route.Forward == nil {
		return fault.None
	}
	return x.checkContent()
}

// judge asks the policies in the order in which requests meet them.
func (x *exchange) judge() (list []Judged) {
	add := func(j Judged) { list = append(list, j) }
	add(x.judgeBan())
	add(x.judgeAccess())
	if x.route.Disabled != nil {
		add(Judged{Policy: "route disabled", Refuses: fault.RouteDisabled})
	}
	add(Judged{Policy: "memory", Refuses: x.afford()})
	for _, g := range [...]*queue.Gate{x.s.Requests, x.ln.Requests} {
		if g != nil {
			add(judgeGate("requests in progress", g, fault.RequestLimit))
		}
	}
	if s := x.security(); s != nil {
		add(x.judgeChallenge(s))
	}
	x.judgeLimits(false, add)
	if p := x.route.Policies; p != nil {
		x.judgePolicies(p, add)
		x.judgeLimits(true, add)
	}
	return list
}

func (x *exchange) judgeBan() Judged {
	j, e := Judged{Policy: "ban"}, x.p.opt.Bans.Find(x.client)
	if e == nil {
		e = x.p.opt.Bans.FindShadow(x.client)
	}
	if e != nil {
		j.Name, j.Refuses, j.Shadow = e.Prefix().String(), fault.ClientBanned, e.Shadow()
	}
	return j
}

func (x *exchange) judgeAccess() Judged {
	list := x.accessList()
	j := Judged{Policy: "access list"}
	if list != nil && !list.AllowsFrom(x.client, x) {
		j.Refuses, j.Shadow = fault.AccessDenied, list.Shadow
	}
	return j
}

func judgeGate(policy string, g *queue.Gate, k fault.Kind) Judged {
	j := Judged{Policy: policy, Count: g.InProgress(), Max: g.Limits().Concurrent}
	if j.Max > 0 && j.Count >= j.Max {
		j.Refuses = k
	}
	return j
}

// judgeChallenge asks what would be decided of the request, were it counted.
func (x *exchange) judgeChallenge(s *snapshot.Security) Judged {
	key, _ := s.Key.Sum(x.s.LimitSeed, x)
	d := s.Clients.Peek(key, x.at)
	rate := int(d.Limit-d.Remaining) + 1
	if !d.Allowed {
		d = s.Floods.Peek(key, x.at)
		rate = s.Policy.Threshold + int(d.Limit-d.Remaining) + 1
	}
	j := Judged{Policy: "challenge", Count: rate, Max: s.Policy.Threshold}
	switch _, o := x.s.Challenger.Look(&s.Policy, x.factsFor(s, rate), x.unixSeconds()); o {
	case challenge.Shadowed:
		j.Refuses, j.Shadow = fault.ChallengeFailed, true
	case challenge.Refused, challenge.Issued:
		j.Refuses = fault.ChallengeFailed
	case challenge.Bypassed, challenge.Proved:
		j.Given = true
	}
	return j
}

// judgeLimits looks at the rate limits, or at those that go by who the client is.
func (x *exchange) judgeLimits(named bool, add func(Judged)) {
	for _, list := range x.limits() {
		for _, l := range list {
			if l.Named != named {
				continue
			}
			j := Judged{Policy: "rate limit", Name: l.Name, Shadow: l.Shadow || l.LogOnly, Needs: named}
			if !named {
				key, _ := l.Key.Sum(l.Seed, x)
				j.Limit = l.Table.Peek(key, x.at)
				if !j.Limit.Allowed && j.Limit.RetryAfter > l.Patience {
					j.Refuses = fault.RateLimited
				}
			}
			add(j)
		}
	}
}

// judgePolicies says what the policies of the route ask for. Credentials aren't tried.
func (x *exchange) judgePolicies(p *snapshot.Policies, add func(Judged)) {
	if p.CORS != nil {
		_, preflight := preflightMethod(&x.req.Head)
		j := Judged{Policy: "cors", Given: x.origin() != nil}
		if j.Given && !p.CORS.Allows(x.origin()) && preflight {
			j.Refuses = fault.PreflightRefused
		}
		add(j)
		if preflight {
			return // it is answered here
		}
	}
	_, given := x.onlyField(message.FieldAuthorization)
	if p.Basic != nil {
		add(Judged{Policy: "basic-auth", Needs: true, Given: given, Shadow: p.Basic.Shadow, Refuses: unless(given, fault.Unauthorized)})
	}
	if p.JWT != nil {
		if p.JWT.Cookie != "" {
			_, given = cookie(&x.req.Head, p.JWT.Cookie)
		} else if p.JWT.Field != "" {
			given = x.req.Head.FindName(p.JWT.Field) >= 0
		}
		add(Judged{Policy: "jwt-auth", Needs: true, Given: given, Shadow: p.JWT.Shadow, Refuses: unless(given, fault.Unauthorized)})
	}
	if p.Forward != nil {
		add(Judged{Policy: "forward-auth", Name: p.Forward.Upstream.Name, Needs: true, Given: true, Shadow: p.Forward.Shadow})
	}
}

func unless(given bool, k fault.Kind) fault.Kind {
	if given {
		return fault.None
	}
	return k
}

// onward looks where the request would go.
func (x *exchange) onward() *Onward {
	o := &Onward{Fallback: x.route.Fallback, Repeats: x.route.Retry.NonIdempotent || x.req.Head.Method.Idempotent()}
	o.Upstreams, o.Shares = x.route.Forward.Shares()
	x.upstream = x.route.Forward.Pick(x.affinity(&x.route.Sticky))
	u := x.upstream
	sticky := x.stickyTarget(u)
	x.setDeadline()
	o.Upstream, o.Sticky, o.Targets = u, sticky != 0, u.Candidates(x.at)
	o.Target = u.Preview(x.affinity(&u.HashBy), sticky, x.at)
	o.Request, o.Covers = x.deadline-x.req.Received, x.covers
	o.Head, o.Silence = x.headWait(), x.silence()
	o.InProgress, o.Pending, o.Limits = u.Gate.InProgress(), u.Gate.Pending(), u.Gate.Limits()
	return o
}
