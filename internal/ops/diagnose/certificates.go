package diagnose

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/keypair"
	"sentinel/internal/config/schema"
)

// certificate is one file of the configuration as it lies on disk.
type certificate struct {
	side, name    string // "listener" or "upstream", and which
	role          certguard.Role
	file, keyFile string
	problem       *keypair.Problem // nil: it can be used
	missing       bool             // the problem is that a file can't be read
	mismatch      bool             // the problem is that the key is another's
	defect        string           // what peers won't believe about it, in words
	expired       bool
	ends          time.Time
	lasts         time.Duration // from its beginning
}

// readCertificates reads the files of certificates as a start would.
func (f *facts) readCertificates(context.Context) {
	for _, l := range f.cfg.Listeners {
		t := l.TLS
		if t == nil {
			continue
		}
		f.addPair("listener", l.Name.V, certguard.Server, t.CertFile, t.KeyFile)
		f.addFolder(l.Name.V, t.CertDir)
		f.addAuthority("listener", l.Name.V, t.CAFile)
		for _, s := range t.SNI {
			f.addPair("listener", l.Name.V, certguard.Server, s.CertFile, s.KeyFile)
			f.addAuthority("listener", l.Name.V, s.CAFile)
		}
	}
	for _, u := range f.cfg.Upstreams {
		if t := u.TLS; t != nil {
			f.addPair("upstream", u.Name.V, certguard.Client, t.ClientCert, t.ClientKey)
			f.addAuthority("upstream", u.Name.V, t.CACert)
		}
	}
}

// note keeps what was found, or says that who asks may not read it.
func (f *facts) note(c certificate) {
	if c.problem != nil && errors.Is(c.problem.Err, fs.ErrPermission) {
		f.blind("the file " + c.problem.File + ": " + c.problem.Err.Error())
		return
	}
	f.certs = append(f.certs, c)
}

// pathOf returns the path of a file that the configuration names: relative ones are relative to
// the file that names them.
func pathOf(v schema.Value[string]) string {
	if filepath.IsAbs(v.V) || v.From.File == "" {
		return v.V
	}
	return filepath.Join(filepath.Dir(v.From.File), v.V)
}

func (f *facts) addPair(side, name string, role certguard.Role, cert, key schema.Value[string]) {
	if cert.V == "" || key.V == "" {
		return
	}
	c := certificate{side: side, name: name, role: role, file: pathOf(cert), keyFile: pathOf(key)}
	pair, problem := keypair.Load(c.file, c.keyFile)
	if problem != nil {
		c.blame(problem)
	} else {
		c.judge(pair, f.now)
	}
	f.note(c)
}

func (f *facts) addFolder(name string, dir schema.Value[string]) {
	if dir.V == "" {
		return
	}
	pairs, problems := keypair.LoadDir(pathOf(dir))
	for _, p := range pairs {
		c := certificate{side: "listener", name: name, file: p.CertFile, keyFile: p.KeyFile}
		c.judge(p, f.now)
		f.note(c)
	}
	for _, p := range problems {
		c := certificate{side: "listener", name: name, file: p.File}
		c.blame(p)
		f.note(c)
	}
}

func (f *facts) addAuthority(side, name string, file schema.Value[string]) {
	if file.V == "" {
		return
	}
	c := certificate{side: side, name: name, role: certguard.Authority, file: pathOf(file)}
	certs, problem := keypair.LoadTrusted(c.file)
	if problem != nil {
		c.blame(problem)
	} else {
		c.look(certs, f.now)
	}
	f.note(c)
}

func (c *certificate) blame(p *keypair.Problem) {
	c.problem = p
	c.missing, c.mismatch = p.Err != nil, p.Mismatch
}

func (c *certificate) judge(p *keypair.Pair, now time.Time) {
	chain := certguard.Chain{p.Leaf()}
	for _, der := range p.Certificate.Certificate[1:] {
		if behind, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, behind)
		}
	}
	c.look(chain, now)
}

func (c *certificate) look(chain certguard.Chain, now time.Time) {
	d := certguard.Find(chain, c.role, "", now)
	c.expired = d&(certguard.Expired|certguard.NotYetValid) != 0
	if d != certguard.None {
		c.defect = certguard.Describe(chain, d, "", now)
	}
	c.ends = certguard.Expiry(chain, c.role, now)
	c.lasts = chain[0].NotAfter.Sub(chain[0].NotBefore)
}
