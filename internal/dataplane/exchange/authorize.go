package exchange

import (
	"sentinel/internal/dataplane/auth"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/filter"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/snapshot"
	"sentinel/internal/observe/metric"
)

// identity is what is known of who sent a request, once a policy has asked.
type identity struct {
	user     []byte // proved; nil while nobody is known
	asks     []byte // WWW-Authenticate of a refusal
	shadowed string // the policy that would have refused the request
	token    *auth.Token
	// hide takes Authorization out of what the upstream sees, hiddenCookie a cookie.
	hide         bool
	hiddenCookie string
}

// authorize asks the policies of the route whether the request may go on: preflights are
// answered, then credentials are asked for. Fields that policies set are taken out of every
// request, whatever its route: an upstream that believes them may be behind several.
func (x *exchange) authorize() (answered bool, err error) {
	filter.Strip(&x.req.Head, x.s.Reserved)
	x.buffer.identity = x.buffer.identity[:0]
	p := x.route.Policies
	if p == nil {
		return false, nil
	}
	if p.CORS != nil {
		if answered, err := x.preflight(p.CORS); answered {
			return true, err
		}
	}
	k := x.authenticate(p)
	if k == fault.None {
		k = x.takeNamed(p)
	}
	switch k {
	case fault.None:
	case fault.AuthRefused:
		x.fault = k
		return true, x.send(&x.local, x.buffer.body)
	default:
		return true, x.fail(k)
	}
	if x.hide {
		x.req.Head.Drop(message.FieldAuthorization)
	}
	if x.hiddenCookie != "" {
		x.hideCookie(x.hiddenCookie)
	}
	return false, nil
}

// authenticate asks for credentials.
func (x *exchange) authenticate(p *snapshot.Policies) fault.Kind {
	if p.Basic != nil {
		if k := x.decided(metric.BasicAuth, p.Basic.Shadow, x.checkBasic(p.Basic)); k != fault.None {
			return k
		}
	}
	if p.JWT != nil {
		if k := x.decided(metric.JWTAuth, p.JWT.Shadow, x.checkToken(p.JWT)); k != fault.None {
			return k
		}
	}
	if p.Forward != nil {
		k := x.decided(metric.ForwardAuth, p.Forward.Shadow, x.askService(p.Forward))
		if k == fault.AuthUnavailable && p.Forward.AllowWhenFailing {
			return fault.None
		}
		return k
	}
	return fault.None
}

// takeNamed asks the rate limits that go by who the client is.
func (x *exchange) takeNamed(p *snapshot.Policies) fault.Kind {
	if p.Basic == nil && p.JWT == nil && p.Forward == nil {
		return fault.None
	}
	return x.takeAll(true)
}

// askFor keeps what a refusal asks for.
func (x *exchange) askFor(shadow bool, challenge []byte) {
	if !shadow {
		x.asks = challenge
	}
}

// decided counts what a policy made of the request, and lets it through in shadow mode.
func (x *exchange) decided(p metric.Policy, shadow bool, k fault.Kind) fault.Kind {
	d := metric.Allowed
	switch {
	case k == fault.ClientClosed:
		return k
	case k != fault.None && shadow:
		d = metric.Shadowed
		if x.shadowed == "" { // the first one would have answered
			x.shadowed = p.String()
		}
		k = fault.None
	case k != fault.None && k.Side() == fault.SideClient:
		d = metric.Denied
	case k != fault.None:
		d = metric.Failed
	}
	x.route.Metrics.Decided(p, d)
	return k
}

// checkBasic asks for a name and a password. What isn't remembered is checked beside the data
// plane, so many at once.
func (x *exchange) checkBasic(b *snapshot.BasicAuth) fault.Kind {
	x.askFor(b.Shadow, b.Challenge)
	c := &x.credentials
	value, ok := x.onlyField(message.FieldAuthorization)
	if !ok || !c.Parse(value) {
		return fault.Unauthorized
	}
	if !b.Known(c, x.at) {
		if k := x.checkPassword(b, c); k != fault.None {
			return k
		}
	}
	x.user = c.User()
	if b.Shadow {
		return fault.None
	}
	x.asks = nil
	x.hide = x.hide || !b.KeepCredentials
	x.tellUpstream(b.UserField, x.user)
	return fault.None
}

func (x *exchange) checkPassword(b *snapshot.BasicAuth, c *auth.Credentials) fault.Kind {
	if _, err := b.Checks.EnterFor(x, x.at, 0, queue.Normal); err != nil {
		x.look()
		x.asks = nil
		if err == queue.ErrGone {
			return fault.ClientClosed
		}
		return fault.PasswordChecksBusy
	}
	defer b.Checks.Leave()
	right := false
	err := netio.Offload(func() error {
		right = b.Check(c, x.p.opt.Clock.Now())
		return nil
	})
	x.look()
	switch {
	case err != nil:
		return fault.Internal
	case !right:
		return fault.Unauthorized
	}
	return fault.None
}

// onlyField returns the value of a field that stands once: of two, nobody knows which counts.
func (x *exchange) onlyField(id message.FieldID) (value []byte, ok bool) {
	h := &x.req.Head
	for i := range h.Fields {
		if h.Fields[i].ID != id || h.Fields[i].Dropped {
			continue
		}
		if ok {
			return nil, false
		}
		value, ok = h.FieldValue(i), true
	}
	return value, ok
}

// tellUpstream keeps a field line for the request as it goes upstream.
func (x *exchange) tellUpstream(name string, value []byte) {
	if name != "" {
		x.buffer.identity = appendLine(x.buffer.identity, name, value)
	}
}
