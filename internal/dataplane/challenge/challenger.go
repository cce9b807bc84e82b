package challenge

import "net/netip"

// Options are what holds for all challenges of a process. The zero value of each field stands
// for its default.
type Options struct {
	Bits4     int   // of an IPv4 address that count; 24, since mobile networks move clients within
	Bits6     int   // of an IPv6 address that count; 64
	TokenLife int64 // seconds a token is good for; a day, at most TokenLifeMax
	Status    int   // of the page: 503 or 403; 503
}

// TokenLifeMax is the longest life of a token, in seconds.
const TokenLifeMax = 30 * 24 * 3600

const (
	// SkewMax is how many seconds the clocks of two proxies may differ.
	SkewMax = 60
	// seedLife is for how many seconds a seed may be answered, and a ticket used after its wait.
	seedLife = 300
	// WaitMax is the longest signed wait, in seconds.
	WaitMax = 30
)

// State is what survives a reload: the counters and what was spent. The zero value is ready.
// It may not be copied.
type State struct {
	Counters Counters
	Spent    Spent
}

// Challenger gives challenges and takes answers. It belongs to one configuration; the State
// outlives it. Safe for any goroutine.
type Challenger struct {
	options Options
	keys    *Keys
	state   *State
}

// New returns a Challenger. Options out of range are set to the nearest that is allowed.
func New(o Options, keys *Keys, state *State) *Challenger {
	if o.Bits4 == 0 {
		o.Bits4 = 24
	}
	if o.Bits6 == 0 {
		o.Bits6 = 64
	}
	if o.TokenLife == 0 {
		o.TokenLife = 24 * 3600
	}
	if o.Status != 403 {
		o.Status = 503
	}
	o.Bits4 = min(max(o.Bits4, 8), 32)
	o.Bits6 = min(max(o.Bits6, 16), 128)
	o.TokenLife = min(max(o.TokenLife, 60), TokenLifeMax)
	return &Challenger{o, keys, state}
}

// binding returns what texts for the sender of a request are bound to.
func (c *Challenger) binding(f *Facts) binding {
	return binding{f.Host, prefixOf(f.Client, c.options.Bits4, c.options.Bits6)}
}

// AppendToken appends a new token for a host and a client, issued at now.
func (c *Challenger) AppendToken(dst, host []byte, client netip.Addr, now int64) []byte {
	b := binding{host, prefixOf(client, c.options.Bits4, c.options.Bits6)}
	return c.keys.appendSeal(dst, kindToken, b, 0, now+c.options.TokenLife)
}

// Verify reports whether a token is good for a host and a client at now. A token of another
// proxy whose clock differs by up to SkewMax is good, and lowering TokenLife takes none away.
// The work is one MAC, or none when the text has no form of a token or names no key.
func (c *Challenger) Verify(token, host []byte, client netip.Addr, now int64) bool {
	b := binding{host, prefixOf(client, c.options.Bits4, c.options.Bits6)}
	v, ok := c.keys.open(token, kindToken, b)
	return ok && now <= v.time+SkewMax && v.time <= now+TokenLifeMax+SkewMax
}

// Names of the cookies. A client with addresses of both families has one of each, so that
// neither takes the other's place when its connections alternate.
const (
	cookie4 = "sentinel-pass4"
	cookie6 = "sentinel-pass6"
)

// cookiesMax is how many cookies of one name are tried: more than one come when they were set
// for several paths or domains.
const cookiesMax = 4

func cookieName(client netip.Addr) string {
	if client.Unmap().Is4() {
		return cookie4
	}
	return cookie6
}

// Passed reports whether one of the cookies of a request is a good token. The work is bounded
// by cookiesMax MACs.
func (c *Challenger) Passed(f *Facts, now int64) bool {
	name := cookieName(f.Client)
	tries := 0
	for _, line := range f.Cookies {
		for len(line) > 0 && tries < cookiesMax {
			var pair []byte
			pair, line = cut(line, ';')
			text, ok := cookieValue(trim(pair), name)
			if !ok {
				continue
			}
			if c.Verify(text, f.Host, f.Client, now) {
				return true
			}
			tries++
		}
	}
	return false
}

// cookieValue returns the value of a pair "name=value" (RFC 6265 section 4.2.1).
func cookieValue(pair []byte, name string) (value []byte, ok bool) {
	if len(pair) <= len(name) || pair[len(name)] != '=' || string(pair[:len(name)]) != name {
		return nil, false
	}
	return pair[len(name)+1:], true
}
