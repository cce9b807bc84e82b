package tokenkeys

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sentinel/internal/dataplane/auth"
	"sentinel/internal/observe/event"
)

const keySet = `{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// provider answers fetches as its text says: none is a failure.
type provider struct {
	text    atomic.Pointer[string]
	fetches atomic.Int64
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.fetches.Add(1)
	text := p.text.Load()
	if text == nil {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(*text)), Request: r}, nil
}

func (p *provider) answer(text string) { p.text.Store(&text) }

func newKeeper(p *provider) (*Keeper, *event.Log) {
	events := event.New(64, slog.New(slog.DiscardHandler))
	return New(Options{Events: events, Transport: p}), events
}

func feeds(source *auth.Source, refresh time.Duration) map[string]*auth.Feed {
	const url = "https://id.example.com/keys?x=secret"
	return map[string]*auth.Feed{url: {Source: source, URL: url, Name: "https://id.example.com/keys", Refresh: refresh, Timeout: time.Second}}
}

// Keys are fetched at once, renewed in time, retried soon, kept for a day and then no more.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, source := &provider{}, auth.NewSource(nil)
		k, events := newKeeper(p)
		defer k.Close()
		k.Serve(feeds(source, time.Hour))
		synctest.Wait()
		if source.Keys() != nil || p.fetches.Load() != 1 {
			t.Fatalf("%d fetches", p.fetches.Load())
		}
		time.Sleep(3*time.Second + time.Millisecond) // after 1 and 2 seconds
		synctest.Wait()
		if n := p.fetches.Load(); n != 3 {
			t.Errorf("%d fetches within 3 seconds of failures, want 3", n)
		}
		p.answer(keySet)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if source.Keys() == nil {
			t.Fatal("the keys aren't there")
		}
		n := p.fetches.Load()
		time.Sleep(59 * time.Minute)
		if got := p.fetches.Load(); got != n {
			t.Errorf("%d fetches before the hour is over", got-n)
		}
		p.answer("<html>")
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		if source.Keys() == nil {
			t.Error("the keys are gone within a day")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if source.Keys() != nil {
			t.Error("keys that can't be fetched any more hold for ever")
		}
		p.answer(keySet)
		time.Sleep(2 * retryMax)
		synctest.Wait()
		if source.Keys() == nil {
			t.Error("the keys don't come back")
		}
		var told []string
		list := events.Since(0, 64)
		for _, e := range list {
			told = append(told, e.To)
			if strings.Contains(e.Target+e.Cause+e.Detail, "secret") {
				t.Errorf("an event tells the query: %+v", e)
			}
		}
		if got := strings.Join(told, " "); got != "away fetched away expired fetched" {
			t.Errorf("the events are %q", got)
		}
	})
}

// Tokens with unknown keys bring a fetch on, and not more often than every 10 seconds.
func TestUnknownKeysBringAFetchOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, source := &provider{}, auth.NewSource(nil)
		p.answer(keySet)
		k, _ := newKeeper(p)
		defer k.Close()
		k.Serve(feeds(source, time.Hour))
		synctest.Wait()
		tokens := auth.NewTokens(auth.TokenOptions{Algorithms: []string{"EdDSA"}}, source)
		unknown := []byte("eyJhbGciOiJFZERTQSIsImtpZCI6Im5ldyJ9.e30." + strings.Repeat("A", 86)) // kid "new"
		for range 100 {
			tokens.Check(unknown, 0)
		}
		time.Sleep(askedEvery - time.Second)
		synctest.Wait()
		if n := p.fetches.Load(); n != 1 {
			t.Errorf("%d fetches within 10 seconds, want 1", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := p.fetches.Load(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
		time.Sleep(time.Minute)
		tokens.Check(unknown, 0)
		synctest.Wait()
		if n := p.fetches.Load(); n != 3 {
			t.Errorf("%d fetches, want 3: after a while one at once", n)
		}
	})
}

// A reload keeps what goes on and ends what doesn't.
func TestServeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, source := &provider{}, auth.NewSource(nil)
		p.answer(keySet)
		k, _ := newKeeper(p)
		k.Serve(feeds(source, time.Hour))
		synctest.Wait()
		k.Serve(feeds(source, time.Minute))
		if s := k.States(); len(s) != 1 || s[0].Keys != 1 || s[0].Fetched != 1 {
			t.Errorf("States = %+v", s)
		}
		k.Serve(nil)
		time.Sleep(2 * time.Hour)
		if n := p.fetches.Load(); n != 1 {
			t.Errorf("%d fetches after the end", n)
		}
	})
}

// A fetch follows redirects, but a few, and never to where others could change the keys on their way.
func TestRedirects(t *testing.T) {
	get := func(url string) *http.Request {
		r, err := http.NewRequest(http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		from, to string
		hops     int
		want     bool
	}{
		{"https://a.example/k", "https://b.example/k", 1, true},
		{"https://a.example/k", "http://a.example/k", 1, false},
		{"http://127.0.0.1:1/k", "http://127.0.0.1:1/keys", 1, true},
		{"http://127.0.0.1:1/k", "https://a.example/k", 1, true},
		{"http://127.0.0.1:1/k", "http://a.example/k", 1, false},
		{"https://a.example/k", "https://a.example/l", redirectsMax + 1, false},
	} {
		via := make([]*http.Request, c.hops)
		for i := range via {
			via[i] = get(c.from)
		}
		if err := checkRedirect(get(c.to), via); (err == nil) != c.want {
			t.Errorf("checkRedirect(%q to %q, %d hops) = %v, want %v", c.from, c.to, c.hops, err, c.want)
		}
	}
}
