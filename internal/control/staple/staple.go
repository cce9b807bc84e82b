// Package staple asks the responders that certificates name whether these are revoked, and has
// the answers shown to clients with the certificates (RFC 6960, RFC 6066 section 8). It works
// beside the traffic: a handshake never waits for it, and shows what is there.
package staple

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"sentinel/internal/config/compile"
)

const (
	// lookEvery is how often it is looked what is due.
	lookEvery = time.Minute
	// askLimit bounds one question with its answer, in time and bytes.
	askLimit       = 10 * time.Second
	answerBytesMax = 64 << 10
	// againMin and againMax bound the pause before a responder is asked again: after a
	// failure it doubles, after an answer it is half of what that still holds.
	againMin = time.Minute
	againMax = 12 * time.Hour
	// holdsWithoutEnd is for how long an answer that names no end is shown.
	holdsWithoutEnd = 24 * time.Hour
	// atOnce is how many responders are asked at once.
	atOnce = 8
)

// Options are what a Keeper works with.
type Options struct {
	// Certificates returns what clients are shown now.
	Certificates func() []compile.Certificate
	Log          *slog.Logger
}

// Keeper keeps the answers of responders. Its zero value is of no use; New makes one.
type Keeper struct {
	opt    Options
	client *http.Client
	kick   chan struct{}
	now    func() time.Time

	mu struct {
		sync.Mutex
		answers map[[sha256.Size]byte]*answer // by certificate
	}
}

// answer is what is known of one certificate. The goroutine of Run owns it, but for der,
// which the mutex guards.
type answer struct {
	der    []byte // nil while there is none to show
	until  time.Time
	due    time.Time // when the responder is to be asked
	failed int       // times in a row
}

// New returns a keeper that Run sets to work.
func New(o Options) *Keeper {
	k := &Keeper{opt: o, kick: make(chan struct{}, 1), now: time.Now}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableKeepAlives = true
	k.client = &http.Client{Transport: t, Timeout: askLimit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	k.mu.answers = make(map[[sha256.Size]byte]*answer)
	return k
}

// Changed says that other certificates are shown from now on. Answers that are there are
// shown with them at once.
func (k *Keeper) Changed() {
	k.show(k.opt.Certificates())
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// Run asks what is due until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		k.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-k.kick:
		}
	}
}

// look asks the responders that are due and forgets certificates that are gone.
func (k *Keeper) look(ctx context.Context) {
	certs := k.opt.Certificates()
	used := make(map[[sha256.Size]byte]bool)
	var asking sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, c := range certs {
		leaf := c.Pair.Leaf()
		id := sha256.Sum256(leaf.Raw)
		if !c.Staple || used[id] || responder(leaf) == "" {
			continue
		}
		used[id] = true
		a := k.answerOf(id)
		if k.now().Before(a.due) {
			continue
		}
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			k.ask(ctx, c, a)
		})
	}
	asking.Wait()
	k.mu.Lock()
	for id := range k.mu.answers {
		if !used[id] {
			delete(k.mu.answers, id)
		}
	}
	k.mu.Unlock()
	k.show(certs)
}

func (k *Keeper) answerOf(id [sha256.Size]byte) *answer {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.mu.answers[id]
	if a == nil {
		a = new(answer)
		k.mu.answers[id] = a
	}
	return a
}

// show gives every certificate the answer that there is for it.
func (k *Keeper) show(certs []compile.Certificate) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range certs {
		leaf := c.Pair.Leaf()
		if a := k.mu.answers[sha256.Sum256(leaf.Raw)]; a != nil && c.Staple {
			der := a.der
			if !k.now().Before(a.until) {
				der = nil
			}
			c.Site.Staple(leaf, der)
		}
	}
}

// ask asks the responder of one certificate and takes note of what it says.
func (k *Keeper) ask(ctx context.Context, c compile.Certificate, a *answer) {
	der, until, err := k.fetch(ctx, c.Pair.Certificate.Certificate, c.Pair.Leaf())
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		a.der, a.until, a.failed = der, until, 0
		a.due = now.Add(min(max(until.Sub(now)/2, againMin), againMax))
		return
	}
	if !now.Before(a.until) || errors.Is(err, errRevoked) {
		a.der = nil
	}
	a.due = now.Add(min(againMin<<min(a.failed, 10), againMax))
	if a.failed++; a.failed == 1 && ctx.Err() == nil {
		k.opt.Log.Warn("no status to show with a certificate", "reason", "responder", "listener", c.Listener,
			"subject", c.Pair.Leaf().Subject.String(), "file", c.Pair.CertFile, "detail", err.Error())
	}
}

// responder returns where the status of a certificate can be asked for; nothing for nowhere.
func responder(c *x509.Certificate) string {
	for _, u := range c.OCSPServer {
		if strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://") {
			return u
		}
	}
	return ""
}

var (
	errRevoked  = errors.New("the certificate is revoked")
	errNoIssuer = errors.New("who issued the certificate doesn't stand behind it in its file")
)

// fetch asks the responder of a certificate for an answer that can be shown, and until when.
func (k *Keeper) fetch(ctx context.Context, chain [][]byte, leaf *x509.Certificate) (der []byte, until time.Time, err error) {
	if len(chain) < 2 {
		return nil, until, errNoIssuer
	}
	issuer, err := x509.ParseCertificate(chain[1])
	if err != nil {
		return nil, until, err
	}
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, until, err
	}
	if der, err = k.post(ctx, responder(leaf), question); err != nil {
		return nil, until, err
	}
	said, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil {
		return nil, until, fmt.Errorf("the answer can't be believed: %w", err)
	}
	if until = said.NextUpdate; until.IsZero() {
		until = k.now().Add(holdsWithoutEnd)
	}
	switch {
	case said.Status == ocsp.Revoked:
		return nil, until, errRevoked
	case said.Status != ocsp.Good:
		return nil, until, errors.New("the responder doesn't know the certificate")
	case !k.now().Before(until):
		return nil, until, fmt.Errorf("the answer ended at %s", until.UTC().Format(time.RFC3339))
	}
	return der, until, nil
}

func (k *Keeper) post(ctx context.Context, url string, question []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/ocsp-request")
	r.Header.Set("Accept", "application/ocsp-response")
	resp, err := k.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the responder answers %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax+1))
	if err == nil && len(b) > answerBytesMax {
		err = fmt.Errorf("the answer has more than %d bytes", answerBytesMax)
	}
	return b, err
}
