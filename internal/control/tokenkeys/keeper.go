// Package tokenkeys fetches the keys that tokens are signed with, and keeps them fresh.
//
// Each URL has a goroutine of its own. A fetch is bounded in time and size; one that fails
// leaves the keys that there are, for a day at most, and is tried again soon. Nobody waits for
// it: until the first keys are there, tokens are refused.
package tokenkeys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sentinel/internal/dataplane/auth"
	"sentinel/internal/observe/event"
)

const (
	// askedEvery is how often at most tokens with unknown keys have a set fetched.
	askedEvery = 10 * time.Second
	// retryFirst is the pause after a fetch that failed; it doubles up to retryMax.
	retryFirst, retryMax = time.Second, time.Minute
	// StaleMax is for how long keys are used that can't be fetched any more.
	StaleMax = 24 * time.Hour
	// redirectsMax bounds how often a fetch is sent elsewhere.
	redirectsMax = 3
)

// Options are what a Keeper is made with.
type Options struct {
	// Events is told when keys can't be fetched, and when they can again.
	Events *event.Log
	// Transport fetches; nil is a transport of the keeper's own.
	Transport http.RoundTripper
}

// Keeper keeps the keys of all URLs of the configuration that serves.
type Keeper struct {
	opt    Options
	client http.Client

	mu struct {
		sync.Mutex
		fetchers map[string]*fetcher // by URL
	}
}

// New returns a keeper of nothing.
func New(o Options) *Keeper {
	if o.Transport == nil {
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true}
	}
	k := &Keeper{opt: o}
	k.client = http.Client{Transport: o.Transport, CheckRedirect: checkRedirect}
	k.mu.fetchers = make(map[string]*fetcher)
	return k
}

// checkRedirect keeps a fetch from leaving https, or, where it began without, this machine.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > redirectsMax {
		return errors.New("too many redirects")
	}
	if next.URL.Scheme != "https" && (via[0].URL.Scheme == "https" || next.URL.Host != via[0].URL.Host) {
		return errors.New("redirected away from https")
	}
	return nil
}

// Serve fetches the keys of feeds, by URL, from now on, and no others. A feed that was served
// before goes on as it was, with its new times.
func (k *Keeper) Serve(feeds map[string]*auth.Feed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for url, f := range k.mu.fetchers {
		if feeds[url] == nil || feeds[url].Source != f.feed().Source {
			f.stop()
			delete(k.mu.fetchers, url)
		}
	}
	for url, feed := range feeds {
		if f := k.mu.fetchers[url]; f != nil {
			f.current.Store(feed)
			continue
		}
		k.mu.fetchers[url] = k.start(feed)
	}
}

// Close ends all fetches.
func (k *Keeper) Close() { k.Serve(nil) }

// State is what is known of one source.
type State struct {
	Name               string
	Keys               int // 0 while there are none
	Fetched, Failed    uint64
	LastFetchedSeconds float64 // Unix time; 0 for never
}

// States returns what is known of all sources.
func (k *Keeper) States() []State {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []State
	for _, f := range k.mu.fetchers {
		feed := f.feed()
		s := State{Name: feed.Name, Fetched: f.fetched.Load(), Failed: f.failed.Load(), LastFetchedSeconds: float64(f.at.Load()) / 1000}
		if keys := feed.Keys(); keys != nil {
			s.Keys = keys.Len()
		}
		list = append(list, s)
	}
	return list
}

// fetcher keeps the keys of one URL.
type fetcher struct {
	keeper  *Keeper
	current atomic.Pointer[auth.Feed]
	asked   chan struct{}
	cancel  context.CancelFunc
	ended   chan struct{}

	fetched, failed atomic.Uint64
	at              atomic.Int64 // Unix time of the last success in milliseconds; 0 for none
}

func (k *Keeper) start(feed *auth.Feed) *fetcher {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fetcher{keeper: k, asked: make(chan struct{}, 1), cancel: cancel, ended: make(chan struct{})}
	f.current.Store(feed)
	feed.OnUnknown(func() {
		select {
		case f.asked <- struct{}{}:
		default:
		}
	})
	go f.run(ctx)
	return f
}

func (f *fetcher) feed() *auth.Feed { return f.current.Load() }

func (f *fetcher) stop() {
	f.cancel()
	<-f.ended
}

// run fetches until ctx ends.
func (f *fetcher) run(ctx context.Context) {
	defer close(f.ended)
	well, told := time.Now(), false // since when nothing is known to be wrong
	retry := retryFirst
	for {
		select {
		case <-f.asked: // by tokens that this fetch answers
		default:
		}
		keys, err := f.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := f.feed().Refresh
		if err == nil {
			f.feed().Set(keys)
			f.fetched.Add(1)
			f.at.Store(time.Now().UnixMilli())
			f.tell(&told, nil, keys)
			well, retry = time.Now(), retryFirst
		} else {
			f.failed.Add(1)
			f.tell(&told, err, nil)
			if time.Since(well) > StaleMax && f.feed().Keys() != nil {
				f.feed().Set(nil)
				f.emit(event.Event{Worse: true, To: "expired", Cause: err.Error(), Detail: "tokens are refused"})
			}
			pause, retry = min(retry, pause), min(2*retry, retryMax)
		}
		if !f.rest(ctx, pause) {
			return
		}
	}
}

// rest waits until the next fetch, which tokens with unknown keys bring on.
func (f *fetcher) rest(ctx context.Context, pause time.Duration) bool {
	began := time.Now()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	asked := f.asked
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-asked:
			asked = nil // once is enough
			timer.Reset(max(0, min(pause, askedEvery)-time.Since(began)))
		}
	}
}

// fetch fetches the keys once.
func (f *fetcher) fetch(ctx context.Context) (*auth.KeySet, error) {
	feed := f.feed()
	ctx, cancel := context.WithTimeout(ctx, feed.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, feed.URL, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	r.Header.Set("User-Agent", "sentinel")
	answer, err := f.keeper.client.Do(r)
	if err != nil {
		return nil, bare(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, auth.KeySetBytesMax+1))
	if err != nil {
		return nil, err
	}
	return auth.ParseKeySet(text)
}

// bare takes the URL off an error: its query may be secret, and the event names it anyway.
func bare(err error) error {
	var u interface{ Unwrap() error }
	if errors.As(err, &u) && u.Unwrap() != nil {
		return u.Unwrap()
	}
	return err
}

// tell tells of a change: the first failure, and the first success after it or ever.
func (f *fetcher) tell(told *bool, err error, keys *auth.KeySet) {
	var e event.Event
	switch {
	case err != nil && !*told:
		*told = true
		e.Worse, e.Cause, e.To = true, err.Error(), "away"
		e.Detail = "tokens are refused"
		if f.feed().Keys() != nil {
			e.Detail = "tokens are checked by the keys there are, for a day at most"
		}
	case err == nil && (*told || f.fetched.Load() == 1):
		*told = false
		e.To, e.Detail = "fetched", fmt.Sprintf("%d keys", keys.Len())
	default:
		return
	}
	f.emit(e)
}

func (f *fetcher) emit(e event.Event) {
	e.Kind, e.Target = event.KindKeys, f.feed().Name
	if f.keeper.opt.Events != nil {
		f.keeper.opt.Events.Emit(e)
	}
}
