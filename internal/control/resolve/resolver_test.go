package resolve

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestSetKeepsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		a, b := web("a.example:80"), web("b.example:80")
		f := start(t, z, Options{}, a)
		f.want("a.example:80: 192.0.2.1:80*1")
		heavy, shared := a, Source{Upstream: "api", Kind: Name, Value: "A.EXAMPLE:443", Weight: 1}
		heavy.Weight = 5
		f.known(shared, "192.0.2.1:443*1") // before it is set: the name is known

		f.Set([]Source{a, b, b, shared})
		f.settle()
		f.want("A.EXAMPLE:443: 192.0.2.1:443*1", "b.example:80: 192.0.2.2:80*1 [2001:db8::2]:80*1")
		f.Set([]Source{heavy})
		f.settle()
		f.want("a.example:80: 192.0.2.1:80*5")
		if n := z.count("a.example. A"); n != 1 {
			t.Errorf("asked %d times for a name that stayed, want 1", n)
		}
		f.known(b, "")
		f.after(time.Hour)
		if n := z.count("b.example. A"); n != 1 {
			t.Errorf("asked %d times for a name that is gone, want 1", n)
		}
		if got := len(f.Results()); got != 1 {
			t.Errorf("%d results, want 1", got)
		}
	})
}

func TestSetEmpties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		z.fail("slow.example.", dropped)
		z.set(srvKey, "_http._tcp.example. 20 IN SRV 10 5 8080 a.example.")
		path := filepath.Join(t.TempDir(), "targets")
		write(t, path, "a.example:80\nc.example:80\n")
		f := start(t, z, Options{}, web("slow.example:80"), web("a.example:80"), service, fileSource(path))
		f.Set(nil)
		f.settle()
		f.mu.Lock()
		f.told = nil
		f.mu.Unlock()
		r := f.Resolver
		r.mu.Lock()
		if n := len(r.mu.records) + len(r.mu.lists) + len(r.mu.queue) + len(r.mu.dirty) + r.mu.running + r.mu.unasked; n != 0 {
			t.Errorf("%d things are left without a source", n)
		}
		r.mu.Unlock()
		f.Await(t.Context()) // nothing to wait for
	})
}

func TestLiterals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := Source{Upstream: "web", Kind: Literal, Value: "192.0.2.1:80", Weight: 3}
		bad := Source{Upstream: "web", Kind: Literal, Value: "a.example:80"}
		worse := Source{Upstream: "web", Kind: Name, Value: "a.example"}
		odd := Source{Upstream: "web", Kind: Service, Value: "http tcp"}
		f := start(t, newZone(), Options{}, good, bad, worse, odd)
		f.want("a.example:80:  failed", "a.example:  failed", "http tcp:  failed")
		f.known(good, "192.0.2.1:80*3")
		f.Set(nil)
		f.known(good, "192.0.2.1:80*3")
	})
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		z.set(srvKey, "_http._tcp.example. 20 IN SRV 10 5 80 slow.example.")
		z.fail("slow.example.", dropped)
		r := New(Options{Servers: []string{"192.0.2.53:53"}, Timeout: 3 * time.Second, net: z})
		defer r.Close()
		path := filepath.Join(t.TempDir(), "targets")
		write(t, path, "c.example:80\n")
		r.Set([]Source{web("a.example:80"), web("none.example:80"), service, fileSource(path)})

		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r.Await(ctx)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Await took %v, want the second that it had", took)
		}
		if _, ok := r.Lookup(fileSource(path)); !ok {
			t.Error("the file has no targets in time")
		}
		r.Await(t.Context())
		if took := time.Since(begin); took != attemptsMax*3*time.Second {
			t.Errorf("Await took %v, want that of the SRV target's timeouts", took)
		}
	})
}

func TestLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		var sources []Source
		for i := range 3 * lookupsMax {
			z.fail(fmt.Sprintf("h%d.example.", i), dropped)
			sources = append(sources, web(fmt.Sprintf("h%d.example:80", i)))
		}
		f := start(t, z, Options{Timeout: time.Second}, sources...)
		z.mu.Lock()
		asked := len(z.asked)
		z.mu.Unlock()
		if asked != 2*lookupsMax { // both families
			t.Errorf("%d questions at once, want %d", asked, 2*lookupsMax)
		}
		f.Await(t.Context())
	})
}

// A slow receiver hears the last state, not every state.
func TestUpdatesCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("a.example. A", "a.example. 5 IN A 192.0.2.1")
		var mu sync.Mutex
		var told []string
		r := New(Options{Servers: []string{"192.0.2.53:53"}, net: z, Changed: func(u Update) {
			mu.Lock()
			told = append(told, text(u))
			mu.Unlock()
			time.Sleep(time.Minute)
		}})
		defer r.Close()
		r.Set([]Source{web("a.example:80")})
		time.Sleep(time.Second)
		z.set("a.example. A", "a.example. 5 IN A 192.0.2.2")
		time.Sleep(20 * time.Second)
		z.set("a.example. A", "a.example. 5 IN A 192.0.2.3")
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(told, ", "); got != "a.example:80: 192.0.2.1:80*1, a.example:80: 192.0.2.3:80*1" {
			t.Errorf("told %s", got)
		}
	})
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		z := newZone()
		z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
		f := start(t, z, Options{Log: slog.New(slog.NewTextHandler(&out, nil))}, web("a.example:80"))
		z.fail("a.example.", dns.RcodeServerFailure)
		f.after(time.Hour)
		z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
		f.after(time.Minute)
		f.Close()
		got := out.String()
		if strings.Count(got, "\n") != 2 || !strings.Contains(got, "name look-up failed") || !strings.Contains(got, "SERVFAIL") ||
			!strings.Contains(got, "addresses_kept=true") || !strings.Contains(got, "name look-up recovered") {
			t.Errorf("log:\n%swant one failure and one recovery", got)
		}
	})
}

// A bubble ends only when all its goroutines have: here that is Close's doing alone.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		z.fail("slow.example.", dropped)
		f := start(t, z, Options{Timeout: time.Hour}, web("slow.example:80"), web("a.example:80"))
		f.Close()
		f.Close()
		f.want("a.example:80: 192.0.2.1:80*1")
		f.known(web("a.example:80"), "192.0.2.1:80*1")
		f.Set([]Source{web("b.example:80")})
		f.RefreshNow()
		f.settle()
		f.want()
		if n := z.count("b.example. A"); n != 0 {
			t.Errorf("asked %d times after Close", n)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		f := start(t, z, Options{})
		var users sync.WaitGroup
		for i := range 8 {
			users.Go(func() {
				for n := range 50 {
					f.Set([]Source{web("a.example:80"), web(fmt.Sprintf("h%d.example:80", (i+n)%5)), service})
					f.Lookup(web("a.example:80"))
					f.Results()
					f.RefreshNow()
					time.Sleep(time.Duration(i) * time.Millisecond)
				}
			})
		}
		users.Wait()
		f.Await(t.Context())
		f.settle()
		if n := len(f.Results()); n != 3 {
			t.Errorf("%d results, want 3", n)
		}
		f.known(web("a.example:80"), "192.0.2.1:80*1")
	})
}
