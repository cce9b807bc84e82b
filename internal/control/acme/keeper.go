package acme

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"sentinel/internal/observe/event"
)

const (
	// renewCheckEvery is how often certificates are looked at for renewal.
	renewCheckEvery = 10 * time.Minute
	// orderTimeout bounds one order with all its proofs.
	orderTimeout = 5 * time.Minute
)

// Certificate is one that was issued, with its key.
type Certificate = tls.Certificate

// Options are what a Keeper tells of its work.
type Options struct {
	Record func(event.Event) // nil for nobody
	// Count is told of each order that ended.
	Count func(obtained bool) // nil for nobody
	Log   *slog.Logger
	// RenewCheckEvery is how often certificates are looked at for renewal; 0 for the default.
	RenewCheckEvery time.Duration
}

// Keeper has the certificates of the configuration that serves.
type Keeper struct {
	opt   Options
	cache *certmagic.Cache

	mu struct {
		sync.Mutex
		account *Account
		ports   Ports
		config  *certmagic.Config
		issuer  *certmagic.ACMEIssuer
		names   map[string][]Name // by host
		failed  map[string]bool   // hosts whose last order has failed
		cancel  context.CancelFunc
	}
}

// New returns a keeper that has nothing to do yet.
func New(o Options) *Keeper {
	if o.RenewCheckEvery == 0 {
		o.RenewCheckEvery = renewCheckEvery
	}
	k := &Keeper{opt: o}
	k.mu.names = make(map[string][]Name)
	k.mu.failed = make(map[string]bool)
	k.mu.cancel = func() {}
	return k
}

// Close ends all work.
func (k *Keeper) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.cancel()
	if k.cache != nil {
		k.cache.Stop()
		k.cache = nil
	}
}

// Load returns the certificate of a host that is stored already; nil where there is none.
// It reads files.
func (k *Keeper) Load(a *Account, host string) *Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	config := k.mu.config
	if config == nil || !k.mu.account.equal(a) {
		config, _ = k.configure(a, k.mu.ports)
	}
	cert, err := config.CacheManagedCertificate(context.Background(), host)
	if err != nil || len(cert.Certificate.Certificate) == 0 {
		return nil
	}
	return &cert.Certificate
}

// Apply makes the account and the names of a configuration those that are looked after. A
// nil account ends the work.
func (k *Keeper) Apply(a *Account, names []Name, ports Ports) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.mu.names
	k.mu.names = make(map[string][]Name)
	for _, n := range names {
		k.mu.names[n.Host] = append(k.mu.names[n.Host], n)
	}
	k.forget(before)
	if a == nil {
		k.mu.cancel()
		k.mu.account, k.mu.config, k.mu.issuer = nil, nil, nil
		return
	}
	ctx := k.install(a, ports)
	for host := range k.mu.names {
		k.mu.config.ManageAsync(ctx, []string{host}) // it fails only where it doesn't wait
	}
	k.show()
}

// install puts account and ports in place, and ends the orders of others.
func (k *Keeper) install(a *Account, ports Ports) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	k.mu.cancel()
	k.mu.cancel = cancel
	if k.mu.config == nil || !k.mu.account.equal(a) || k.mu.ports != ports {
		k.mu.config, k.mu.issuer = k.configure(a, ports)
	}
	k.mu.account, k.mu.ports = a, ports
	return ctx
}

// forget drops the certificates of hosts that nobody wants any more.
func (k *Keeper) forget(before map[string][]Name) {
	var gone []certmagic.SubjectIssuer
	for host := range before {
		if _, wanted := k.mu.names[host]; !wanted {
			gone = append(gone, certmagic.SubjectIssuer{Subject: host})
			delete(k.mu.failed, host)
		}
	}
	if len(gone) > 0 && k.cache != nil {
		k.cache.RemoveManaged(gone)
	}
}

// configure returns how certificates are ordered from an account.
func (k *Keeper) configure(a *Account, ports Ports) (*certmagic.Config, *certmagic.ACMEIssuer) {
	quiet := zap.NewNop() // what matters comes as an event
	if k.cache == nil {
		k.cache = certmagic.NewCache(certmagic.CacheOptions{
			GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return k.current(), nil },
			RenewCheckInterval: k.opt.RenewCheckEvery,
			Logger:             quiet,
		})
	}
	config := certmagic.New(k.cache, certmagic.Config{
		OnEvent:   k.onEvent,
		Storage:   &certmagic.FileStorage{Path: a.Storage},
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.KeyType(a.KeyType)},
		OCSP:      certmagic.OCSPConfig{DisableStapling: true}, // that is done for all certificates alike
		Logger:    quiet,
	})
	issuer := certmagic.NewACMEIssuer(config, issuerOf(a, ports))
	config.Issuers = []certmagic.Issuer{issuer}
	return config, issuer
}

func (k *Keeper) current() *certmagic.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.config != nil {
		return k.mu.config
	}
	return certmagic.New(k.cache, certmagic.Config{Logger: zap.NewNop()})
}

// show puts the newest certificate of each name in its place.
func (k *Keeper) show() {
	for host, names := range k.mu.names {
		if cert := newest(k.cache.AllMatchingCertificates(host)); cert != nil {
			for _, n := range names {
				n.Replace(cert)
			}
		}
	}
}

func newest(all []certmagic.Certificate) *Certificate {
	var best *certmagic.Certificate
	for i := range all {
		if best == nil || all[i].Leaf.NotAfter.After(best.Leaf.NotAfter) {
			best = &all[i]
		}
	}
	if best == nil {
		return nil
	}
	return &best.Certificate
}
