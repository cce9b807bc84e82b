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
	// hide takes the credentials that were used out of what the upstream sees.
	hide bool
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
	if k := x.authenticate(p); k != fault.None {
		return true, x.fail(k)
	}
	if x.hide {
		x.req.Head.Drop(message.FieldAuthorization)
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
	return fault.None
}

// decided counts what a policy made of the request, and lets it through in shadow mode.
func (x *exchange) decided(p metric.Policy, shadow bool, k fault.Kind) fault.Kind {
	d := metric.Allowed
	switch {
	case k != fault.None && shadow:
		d = metric.Shadowed
		x.shadowed = p.String()
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
	if !b.Shadow {
		x.asks = b.Challenge
	}
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
	if _, err := b.Checks.Enter(x.at, 0, queue.Normal); err != nil {
		x.look()
		x.asks = nil
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
