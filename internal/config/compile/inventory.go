package compile

import (
	"cmp"
	"crypto/x509"
	"path/filepath"
	"slices"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/keypair"
	"sentinel/internal/config/schema"
)

// The sides that a certificate can be in use on.
const (
	sideListener = "listener"
	sideUpstream = "upstream"
)

// InUse is a file of certificates that a generation uses.
type InUse struct {
	Side, Name string // "listener" or "upstream", and what that is called
	Role       certguard.Role
	// Hosts are the names that a server's certificate is shown for, and Default tells that it
	// is shown for all others, too.
	Hosts         []string
	Default       bool
	File, KeyFile string // KeyFile is empty for authorities and what was issued
	Chain         certguard.Chain
	At            schema.Origin // where the configuration names the file, or its folder

	lasting certguard.Defect // found once, since that takes a while
}

// key tells apart what is in use.
func (u *InUse) key() string {
	return u.Side + "\x00" + u.Name + "\x00" + u.Role.String() + "\x00" + u.File
}

// inUse takes note of a file that was read.
func (b *builder) inUse(u InUse) {
	if !slices.ContainsFunc(b.next.inUse, func(v InUse) bool { return v.key() == u.key() }) {
		b.next.inUse = append(b.next.inUse, u)
	}
}

// inventory adds what listeners show, and puts all in order: listeners before upstreams, by
// name, and what is shown before what is believed.
func (b *builder) inventory() {
	for i := range b.next.certificates {
		c := &b.next.certificates[i]
		b.next.inUse = append(b.next.inUse, InUse{
			Side: sideListener, Name: c.Listener, Role: certguard.Server, Hosts: c.Names, Default: c.Default,
			File: c.Pair.CertFile, KeyFile: c.Pair.KeyFile, Chain: chainOf(c.Pair), At: c.At,
		})
	}
	slices.SortStableFunc(b.next.inUse, func(x, y InUse) int {
		return cmp.Or(cmp.Compare(x.Side, y.Side), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Role, y.Role))
	})
}

// chainOf returns the chain of a pair, which keypair has parsed before.
func chainOf(p *keypair.Pair) certguard.Chain {
	c := certguard.Chain{p.Leaf()}
	for _, der := range p.Certificate.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			c = append(c, cert)
		}
	}
	return c
}

// InUse returns the files of certificates that the generation that serves uses, and what an
// authority has issued for it so far. They must not be changed.
func (l *Live) InUse() []InUse {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.issuance == nil {
		return l.mu.inUse
	}
	return append(slices.Clone(l.mu.inUse), l.mu.issuance.inUse()...)
}

// TLSFiles returns the files and folders that TLS is read from, each once.
func TLSFiles(cfg *schema.Config) []string {
	var files []string
	add := func(names ...schema.Value[string]) {
		for _, n := range names {
			if !n.IsSet() {
				continue
			}
			if f := filepath.Clean(resolve(n)); !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	for _, l := range cfg.Listeners {
		if t := l.TLS; t != nil {
			add(t.CertFile, t.KeyFile, t.CertDir, t.CAFile, t.CRLFile, t.TicketKeyFile)
			for _, s := range t.SNI {
				add(s.CertFile, s.KeyFile, s.CAFile, s.CRLFile)
			}
		}
	}
	for _, u := range cfg.Upstreams {
		if t := u.TLS; t != nil {
			add(t.CACert, t.ClientCert, t.ClientKey)
		}
	}
	return files
}
