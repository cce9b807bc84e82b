package resolve

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// ttl is longer than any jitter on a TTL of s seconds.
func ttl(s int) time.Duration { return time.Duration(s)*time.Second*11/10 + time.Second }

func TestNewAddressesAfterTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("a.example. A", "a.example. 20 IN A 192.0.2.2", "a.example. 20 IN A 192.0.2.1")
		f := start(t, z, Options{}, web("a.example:80"))
		f.want("a.example:80: 192.0.2.1:80*1 192.0.2.2:80*1")

		z.set("a.example. A", "a.example. 20 IN A 192.0.2.1", "a.example. 20 IN A 192.0.2.2")
		f.after(ttl(20))
		f.want() // the same set in another order

		z.set("a.example. A", "a.example. 20 IN A 192.0.2.3")
		before := z.count("a.example. A")
		f.after(ttl(20))
		f.want("a.example:80: 192.0.2.3:80*1")
		if asked := z.count("a.example. A") - before; asked != 1 {
			t.Errorf("asked %d times in one TTL, want 1", asked)
		}
		f.known(web("a.example:80"), "192.0.2.3:80*1")
	})
}

func TestBothFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("a.example. A", "a.example. 60 IN A 192.0.2.1", "a.example. 60 IN A 0.0.0.0")
		z.set("a.example. AAAA", "a.example. 60 IN AAAA 2001:db8::2", "a.example. 60 IN AAAA 2001:db8::1",
			"a.example. 60 IN AAAA fe80::1", "a.example. 60 IN AAAA ff02::1")
		z.set("six.example. AAAA", "six.example. 60 IN AAAA 2001:db8::6")
		f := start(t, z, Options{}, web("a.example:80"), web("six.example:443"))
		f.want("a.example:80: 192.0.2.1:80*1 [2001:db8::1]:80*1 [2001:db8::2]:80*1",
			"six.example:443: [2001:db8::6]:443*1")
	})
}

func TestLastGoodIsKept(t *testing.T) {
	for _, tt := range []struct {
		name string
		code int
	}{
		{"NXDOMAIN", dns.RcodeNameError},
		{"SERVFAIL", dns.RcodeServerFailure},
		{"REFUSED", dns.RcodeRefused},
		{"timeout", dropped},
		{"answer to another question", misplaced},
		{"referral", referral},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone()
				z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
				f := start(t, z, Options{}, web("a.example:80"))
				f.want("a.example:80: 192.0.2.1:80*1")

				z.fail("a.example.", tt.code)
				f.after(ttl(20) + 10*time.Second)
				f.want("a.example:80: 192.0.2.1:80*1 stale failed")
				f.after(2 * time.Hour)
				f.want() // once is enough
				f.known(web("a.example:80"), "192.0.2.1:80*1")

				z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
				f.after(retryMax * 2)
				f.want("a.example:80: 192.0.2.1:80*1")
			})
		})
	}
}

func TestEmptyAnswerIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
		f := start(t, z, Options{}, web("a.example:80"))
		z.set("a.example. A") // NOERROR
		f.after(ttl(20))
		f.want("a.example:80: 192.0.2.1:80*1", "a.example:80: 192.0.2.1:80*1 stale failed")
		if err := f.Results()[0].Err; !errors.Is(err, ErrNoRecords) {
			t.Errorf("Results()[0].Err = %v, want %v", err, ErrNoRecords)
		}
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone() // everything is NXDOMAIN
		f := start(t, z, Options{}, web("a.example:80"))
		f.want("a.example:80:  failed")
		f.known(web("a.example:80"), "")
		f.after(34 * time.Second) // tries at 0, 1, 3, 7, 15 and 31 s, each a bit later
		if n := z.count("a.example. A"); n != 6 {
			t.Errorf("asked %d times in 34 s, want 6", n)
		}
		f.after(10 * time.Minute)
		if n := z.count("a.example. A"); n < 6+17 || n > 6+20 {
			t.Errorf("asked %d times in 10 min more, want every 30 to 33 s", n-6)
		}
	})
}

func TestStaleMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
		f := start(t, z, Options{StaleMax: 100 * time.Second}, web("a.example:80"))
		z.fail("a.example.", dns.RcodeServerFailure)
		f.after(ttl(20))
		f.want("a.example:80: 192.0.2.1:80*1", "a.example:80: 192.0.2.1:80*1 stale failed")
		f.after(95 * time.Second)
		f.want()
		f.after(8 * time.Second)
		f.want("a.example:80:  failed")
		f.known(web("a.example:80"), "")
	})
}

func TestOneFamilyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
		z.fail("a.example. AAAA", dns.RcodeServerFailure) // never knew better: passed over
		z.set("b.example. A", "b.example. 20 IN A 192.0.2.2")
		z.set("b.example. AAAA", "b.example. 20 IN AAAA 2001:db8::2")
		f := start(t, z, Options{StaleMax: time.Minute}, web("a.example:80"), web("b.example:80"))
		f.want("a.example:80: 192.0.2.1:80*1", "b.example:80: 192.0.2.2:80*1 [2001:db8::2]:80*1")

		z.fail("b.example. AAAA", dns.RcodeServerFailure)
		z.set("b.example. A", "b.example. 20 IN A 192.0.2.3")
		z.fail("b.example. AAAA", dns.RcodeServerFailure)
		f.after(ttl(20))
		f.want("b.example:80: 192.0.2.3:80*1 [2001:db8::2]:80*1 stale failed")
		f.after(2 * time.Minute)
		f.want("b.example:80: 192.0.2.3:80*1")
	})
}

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("zero.example. A", "zero.example. 0 IN A 192.0.2.1")
		z.set("year.example. A", "year.example. 31536000 IN A 192.0.2.2")
		z.set("chain.example. A", "chain.example. 300 IN CNAME mid.example.", "mid.example. 30 IN CNAME end.example.",
			"end.example. 200 IN A 192.0.2.3", "stray.example. 1 IN A 192.0.2.99")
		z.set("loop.example. A", "loop.example. 300 IN CNAME loop.example.")
		f := start(t, z, Options{}, web("zero.example:80"), web("year.example:80"), web("chain.example:80"), web("loop.example:80"))
		want := map[string]time.Duration{
			"zero.example:80": ttlMinDefault, "year.example:80": ttlMaxDefault, "chain.example:80": 30 * time.Second, "loop.example:80": 0,
		}
		for _, res := range f.Results() {
			left := want[res.Source.Value]
			if left > 0 {
				left -= 2 * gather
			}
			if res.TTL != left {
				t.Errorf("TTL of %s = %v, want %v", res.Source.Value, res.TTL, left)
			}
		}
		f.known(web("chain.example:80"), "192.0.2.3:80*1")
		f.known(web("loop.example:80"), "")
	})
}

func TestServersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("a.example. A", "a.example. 20 IN A 192.0.2.1")
		f := start(t, z, Options{Servers: []string{"dead:53", "192.0.2.53:53"}, Timeout: 3 * time.Second}, web("a.example:80"))
		f.want()
		f.after(3 * time.Second)
		f.want("a.example:80: 192.0.2.1:80*1")
		if got := f.Results()[0].Server; got != "192.0.2.53:53" {
			t.Errorf("server = %q, want the second", got)
		}
	})
}

func TestSearchList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("api.ns.svc. A", "api.ns.svc. 20 IN A 192.0.2.1")
		z.set("a.b.c. A", "a.b.c. 20 IN A 192.0.2.2")
		z.set("a.b.c.ns.svc. A", "a.b.c.ns.svc. 20 IN A 192.0.2.3")
		z.set("api. A", "api. 20 IN A 192.0.2.4")
		z.fail("lost.ns.svc.", dns.RcodeServerFailure)
		z.set("lost.example. A", "lost.example. 20 IN A 192.0.2.5")
		conf := filepath.Join(t.TempDir(), "resolv.conf")
		write(t, conf, "nameserver 192.0.2.53\nsearch other ns.svc example\noptions ndots:2\n")
		f := start(t, z, Options{ResolvConf: conf}, web("api:80"), web("api.:80"), web("a.b.c:80"), web("lost:80"))
		f.want("a.b.c:80: 192.0.2.2:80*1", "api.:80: 192.0.2.4:80*1", "api:80: 192.0.2.1:80*1", "lost:80:  failed")

		write(t, conf, "nameserver 192.0.2.53\nsearch\n")
		f.after(2 * pollEvery)
		f.want("api:80: 192.0.2.4:80*1")
		write(t, conf, "")
		f.after(2 * pollEvery)
		f.want()
	})
}

func TestNamesWithoutAQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("c.example. A", "c.example. 20 IN A 192.0.2.9")
		hosts := filepath.Join(t.TempDir(), "hosts")
		write(t, hosts, "::1 localhost\n192.0.2.7 A.example alias # comment\n2001:db8::7 a.example\nbroken\n300.1.1.1 c.example\n")
		f := start(t, z, Options{HostsFile: hosts}, web("localhost:80"), web("x.localhost.:80"), web("a.example:80"),
			web("alias:80"), web("c.example:80"), web("192.0.2.8:80"), web("[2001:db8::8]:80"))
		f.want("192.0.2.8:80: 192.0.2.8:80*1", "[2001:db8::8]:80: [2001:db8::8]:80*1",
			"a.example:80: 192.0.2.7:80*1 [2001:db8::7]:80*1", "alias:80: 192.0.2.7:80*1", "c.example:80: 192.0.2.9:80*1",
			"localhost:80: 127.0.0.1:80*1", "x.localhost.:80: 127.0.0.1:80*1")
		if n := z.count("localhost. A") + z.count("x.localhost. A") + z.count("a.example. A"); n != 0 {
			t.Errorf("%d queries for names that need none", n)
		}
		write(t, hosts, "192.0.2.70 a.example alias c.example\n")
		f.after(2 * pollEvery)
		f.want("a.example:80: 192.0.2.70:80*1", "alias:80: 192.0.2.70:80*1", "c.example:80: 192.0.2.70:80*1")
	})
}

func TestAddressesMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		var rrs []string
		for i := AddressesMax + 49; i >= 0; i-- {
			rrs = append(rrs, fmt.Sprintf("a.example. 20 IN A 10.0.%d.%d", i/256, i%256))
		}
		z.set("a.example. A", rrs...)
		f := start(t, z, Options{}, web("a.example:80"))
		endpoints, _ := f.Lookup(web("a.example:80"))
		if len(endpoints) != AddressesMax || !strings.HasPrefix(endpoints[AddressesMax-1].Address, "10.0.0.255") {
			t.Errorf("%d endpoints, want the first %d", len(endpoints), AddressesMax)
		}
	})
}
