package lifecycle

import (
	"context"
	"time"

	"sentinel/internal/config/compile"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/certs"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

// renew reads the files of the configuration that serves again, certificates among them, and
// makes what they hold serve, or changes nothing. The text of the configuration isn't read:
// what an operator is just writing must not go live with a certificate.
func (p *Process) renew() admin.Outcome {
	p.mu.Lock()
	g := &generation{loaded: p.mu.current}
	o := admin.Outcome{At: time.Now(), Generation: p.mu.generation}
	p.mu.Unlock()
	if err := p.prepareParts(g); err != nil {
		g.abort()
		d := describe(err)
		o.Error, o.Details = d.kind, d.lines
		return o
	}
	g.commit()
	o.OK = true
	return o
}

// Renew asks for changed files of certificates to be loaded and waits for the outcome. It
// returns the problems, a line each, where nothing was changed.
func (p *Process) Renew(ctx context.Context) (problems []string) {
	var o admin.Outcome
	if !p.request(ctx, func() { o = p.renew() }) {
		o = stoppingOutcome("renewal")
	}
	if !o.OK && len(o.Details) == 0 {
		return []string{o.Error}
	}
	return o.Details
}

// newCerts returns who looks after certificates; renew has changed files loaded.
func newCerts(live *compile.Live, events *event.Log, m *metric.Registry, renew func(context.Context) []string) *certs.Keeper {
	k := certs.New(certs.Options{InUse: live.InUse, Renew: renew, Events: events, Count: m.CertificatesLoaded})
	m.ShowExpiries(k.Expiries)
	return k
}

// watchCertificates begins to watch the files of a configuration once it serves.
func (a *assembly) watchCertificates(cfg *schema.Config) (commit func()) {
	return a.certs.Prepare(compile.TLSFiles(cfg), cfg.System.CertificateCheck.V)
}
