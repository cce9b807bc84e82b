package certs

import (
	"context"
	"slices"
	"sync"
	"time"

	"sentinel/internal/config/certguard"
	"sentinel/internal/config/compile"
	"sentinel/internal/control/admin"
	"sentinel/internal/observe/event"
	"sentinel/internal/observe/metric"
)

const (
	// retryEvery is how often files are tried again that couldn't be used.
	retryEvery = time.Minute
	// ageEvery is how often it is looked whether a certificate ends soon.
	ageEvery = time.Minute
)

// Options are what a Keeper is made with.
type Options struct {
	// InUse returns what the generation that serves uses.
	InUse func() []compile.InUse
	// Renew has all files read again by the configuration that serves, and makes what they
	// hold serve. It returns the problems, a line each, where nothing has changed.
	Renew  func(ctx context.Context) (problems []string)
	Events *event.Log
	// Count is told of each attempt to load changed files; may be nil.
	Count func(ok bool)
}

// Keeper looks after certificates. Its methods may be called by any goroutine.
type Keeper struct {
	opt  Options
	told map[ageKey]int // stages; the goroutine's of Run

	mu struct {
		sync.Mutex
		files  []string
		every  time.Duration // between two looks; 0: none
		loaded uint64        // the fingerprint of what serves
	}
	changed chan struct{} // every is another
}

// New returns a keeper that Run gives life.
func New(o Options) *Keeper {
	if o.Count == nil {
		o.Count = func(bool) {}
	}
	return &Keeper{opt: o, told: make(map[ageKey]int), changed: make(chan struct{}, 1)}
}

// Prepare is called before the files of a configuration are read: what changes from then on
// will be seen. commit is called when the configuration serves.
func (k *Keeper) Prepare(files []string, every time.Duration) (commit func()) {
	files = slices.Clone(files)
	f := fingerprint(files)
	return func() {
		k.mu.Lock()
		k.mu.files, k.mu.every, k.mu.loaded = files, every, f
		k.mu.Unlock()
		select {
		case k.changed <- struct{}{}:
		default:
		}
	}
}

func (k *Keeper) settings() (files []string, every time.Duration, loaded uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.files, k.mu.every, k.mu.loaded
}

// Run looks at files and ages until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	age := time.NewTicker(ageEvery)
	defer age.Stop()
	look := time.NewTimer(k.wait())
	defer look.Stop()
	var w watching
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
			k.tellAge(time.Now())
			w = watching{}
			look.Reset(k.wait())
		case <-age.C:
			k.tellAge(time.Now())
		case <-look.C:
			k.look(ctx, &w)
			look.Reset(k.wait())
		}
	}
}

// wait returns the time until the next look.
func (k *Keeper) wait() time.Duration {
	if _, every, _ := k.settings(); every > 0 {
		return every
	}
	return ageEvery // look finds that there is nothing to do
}

// watching is what is known of files that aren't as those that serve.
type watching struct {
	seen     uint64    // at the last look
	failed   uint64    // what couldn't be used
	again    time.Time // when that is tried again
	problems []string  // what was told of it
}

// look looks at the files once.
func (k *Keeper) look(ctx context.Context, w *watching) {
	files, every, loaded := k.settings()
	if every == 0 || len(files) == 0 {
		return
	}
	now := fingerprint(files)
	still := now == w.seen
	w.seen = now
	switch {
	case now == loaded:
		*w = watching{seen: now}
		return
	case !still, now == w.failed && time.Now().Before(w.again):
		return
	}
	problems := k.opt.Renew(ctx)
	if ctx.Err() != nil {
		return
	}
	k.opt.Count(len(problems) == 0)
	if len(problems) == 0 {
		k.opt.Events.Emit(event.Event{Kind: event.KindCertificate, To: "loaded", Cause: "files have changed"})
		return
	}
	w.failed, w.again = now, time.Now().Add(retryEvery)
	if !slices.Equal(problems, w.problems) {
		w.problems = problems
		for _, p := range problems[:min(len(problems), problemsMax)] {
			k.opt.Events.Emit(event.Event{Kind: event.KindCertificate, Worse: true, To: "not loaded", Cause: "changed files can't be used; those in use stay", Detail: p})
		}
	}
}

// problemsMax bounds the events about one change.
const problemsMax = 10

// Certificates implements admin.Certificates.
func (k *Keeper) Certificates() []admin.Certificate {
	now := time.Now()
	list := []admin.Certificate{}
	for _, u := range k.opt.InUse() {
		for i, c := range u.Chain {
			one := admin.Certificate{
				Side: u.Side, Name: u.Name, Role: u.Role.String(), File: u.File, KeyFile: u.KeyFile,
				Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
				NotBefore: c.NotBefore, NotAfter: c.NotAfter, DaysLeft: daysLeft(c.NotAfter.Sub(now)),
			}
			if u.Role != certguard.Authority && i > 0 {
				one.Role, one.KeyFile = admin.RoleChain, ""
			} else {
				one.Names = namesOf(&u, i)
				one.Default = u.Default
			}
			if d := certguard.Find(u.Chain, u.Role, "", now); d != certguard.None && i == 0 {
				one.Problem = certguard.Describe(u.Chain, d, "", now)
			}
			list = append(list, one)
		}
	}
	return list
}

// daysLeft returns whole days, rounded towards the past: -1 for less than a day over.
func daysLeft(d time.Duration) int {
	n := int(d / day)
	if d < 0 && d%day != 0 {
		n--
	}
	return n
}

// namesOf returns the names in a certificate; of an authority that has none its common name.
func namesOf(u *compile.InUse, i int) []string {
	c := u.Chain[i]
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = []string{c.Subject.CommonName}
	}
	return names
}

// Expiries returns what the metric shows: for each file when it is of no more use.
func (k *Keeper) Expiries() []metric.Expiry {
	now := time.Now()
	var list []metric.Expiry
	for _, u := range k.opt.InUse() {
		list = append(list, metric.Expiry{
			File: u.File, Name: u.Name, Role: u.Role.String(), Side: u.Side, At: certguard.Expiry(u.Chain, u.Role, now),
		})
	}
	return list
}
