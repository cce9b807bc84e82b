package compile

import (
	"maps"
	"slices"
	"strings"
	"time"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/kdl"
)

// guard holds the certificates that would be used against those that are. One that its peers
// can't believe is refused where they can believe the one before, and warned of where there
// is none, or none that is better: then a refusal would help nobody.
func (b *builder) guard() {
	b.live.mu.Lock()
	before := b.live.mu.inUse
	b.live.mu.Unlock()
	known := make(map[string]*InUse, len(before))
	for i := range before {
		known[before[i].key()] = &before[i]
	}
	for i := range b.next.inUse {
		u := &b.next.inUse[i]
		if old := known[u.key()]; old != nil && certguard.Same(u.Chain, old.Chain) {
			u.lasting = old.lasting
		} else {
			u.lasting = certguard.Lasting(u.Chain, u.Role)
		}
	}
	g := &guarding{builder: b, now: time.Now(), before: shown(before), next: shown(b.next.inUse), found: make(map[*InUse]finding)}
	for _, l := range b.cfg.Listeners {
		if l.TLS != nil {
			g.listener(l.Name.V)
		}
	}
	for i := range b.next.inUse {
		u := &b.next.inUse[i]
		if u.Role == certguard.Server {
			continue
		}
		same := func(v InUse) bool { return v.Side == u.Side && v.Name == u.Name && v.Role == u.Role }
		k := slices.IndexFunc(before, same)
		g.judge(u, "", k >= 0 && g.find(&before[k], "") == certguard.None)
	}
	for i := range b.next.inUse {
		if f, found := g.found[&b.next.inUse[i]]; found {
			g.tell(&b.next.inUse[i], f)
		}
	}
}

// guarding is one run of guard.
type guarding struct {
	*builder
	now    time.Time
	before map[string]*showcase // by listener
	next   map[string]*showcase
	found  map[*InUse]finding
}

// finding is what is said of a certificate.
type finding struct {
	defects certguard.Defect
	host    string
	refused bool // the one in use has none
}

// find is certguard.Find by what lasts.
func (g *guarding) find(u *InUse, host string) certguard.Defect {
	d := u.lasting | certguard.Passing(u.Chain, u.Role, g.now)
	if host != "" && !certguard.Covers(u.Chain[0], host) {
		d |= certguard.WrongName
	}
	return d
}

// showcase is what clients of one listener are shown.
type showcase struct {
	byName map[string][]*InUse // exact names and wildcards
	def    []*InUse            // for all others
}

// shown sorts the certificates of servers by listener.
func shown(list []InUse) map[string]*showcase {
	all := make(map[string]*showcase)
	for i := range list {
		u := &list[i]
		if u.Role != certguard.Server {
			continue
		}
		s := all[u.Name]
		if s == nil {
			s = &showcase{byName: make(map[string][]*InUse)}
			all[u.Name] = s
		}
		for _, h := range u.Hosts {
			s.byName[h] = append(s.byName[h], u)
		}
		if u.Default {
			s.def = append(s.def, u)
		}
	}
	return all
}

// of returns what clients are shown that ask for host, as package tlsedge chooses.
func (s *showcase) of(host string) []*InUse {
	if found := s.byName[host]; found != nil {
		return found
	}
	if dot := strings.IndexByte(host, '.'); dot > 0 && host[0] != '*' {
		if found := s.byName["*"+host[dot:]]; found != nil {
			return found
		}
	}
	return s.def
}

// listener judges what a listener shows.
func (g *guarding) listener(name string) {
	next, before := g.next[name], g.before[name]
	if next == nil {
		return // its files can't be read, which has been said
	}
	for _, h := range g.hosts(next) {
		good := before != nil
		if good {
			for _, u := range before.of(h) {
				good = good && g.find(u, h) == certguard.None
			}
		}
		for _, u := range next.of(h) {
			g.judge(u, h, good)
		}
	}
}

// hosts returns who a listener is asked for: nobody, a name that it has a certificate for, the
// host of a route.
func (g *guarding) hosts(s *showcase) []string {
	all := map[string]bool{"": true}
	for h := range s.byName {
		all[h] = true
	}
	for _, r := range g.cfg.Routes {
		for _, h := range r.Matches.Hosts {
			all[strings.ToLower(h.V)] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// judge finds what is wrong with a certificate for a host; good says that nothing is with the
// one in use. One that is refused for any host is refused.
func (g *guarding) judge(u *InUse, host string, good bool) {
	d := g.find(u, host)
	if old, found := g.found[u]; d != certguard.None && (!found || good && !old.refused) {
		g.found[u] = finding{d, host, good}
	}
}

// tell refuses a certificate or warns of it.
func (g *guarding) tell(u *InUse, f finding) {
	what := "the certificate in " + u.File
	if u.Role == certguard.Authority {
		what = "no certificate of an authority in " + u.File + " is of use: the first"
	}
	why := strings.Replace(certguard.Describe(u.Chain, f.defects, f.host, g.now), "it ", "", 1)
	diag := kdl.Warningf(u.At.File, u.At.Span, "%s %s", what, why)
	diag.Hint = "look at it: openssl x509 -noout -text -in " + u.File
	if f.refused {
		diag = kdl.Errorf(u.At.File, u.At.Span, "%s %s; the one in use has no such fault, so it stays", what, why)
		diag.Hint = "put a certificate in place that clients can believe; a start, unlike a reload, takes this one with a warning"
	}
	g.diags = append(g.diags, diag)
}
