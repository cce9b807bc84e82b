package resolve

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

const srvKey = "_http._tcp.example. SRV"

var service = Source{Upstream: "web", Kind: Service, Value: "_http._tcp.example"}

func hostsZone() *zone {
	z := newZone()
	z.set("a.example. A", "a.example. 600 IN A 192.0.2.1")
	z.set("b.example. A", "b.example. 600 IN A 192.0.2.2")
	z.set("b.example. AAAA", "b.example. 600 IN AAAA 2001:db8::2")
	z.set("c.example. A", "c.example. 600 IN A 192.0.2.3")
	return z
}

func TestService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		z.set(srvKey, "_http._tcp.example. 20 IN SRV 10 5 8080 A.example.", "_http._tcp.example. 20 IN SRV 10 0 8081 b.example.",
			"_http._tcp.example. 20 IN SRV 20 9 8082 c.example.")
		f := start(t, z, Options{}, service)
		f.want("_http._tcp.example: 192.0.2.1:8080*5 192.0.2.2:8081*1 [2001:db8::2]:8081*1")
		endpoints, _ := f.Lookup(service)
		if got := endpoints[1].Name; got != "b.example:8081" {
			t.Errorf("name = %q, want the target of the record", got)
		}

		z.set(srvKey, "_http._tcp.example. 20 IN SRV 10 7 8080 a.example.", "_http._tcp.example. 20 IN SRV 20 9 8082 c.example.")
		f.after(ttl(20))
		f.want("_http._tcp.example: 192.0.2.1:8080*7") // b is gone, another weight

		z.set(srvKey, "_http._tcp.example. 20 IN SRV 10 7 8080 a.example.", "_http._tcp.example. 20 IN SRV 5 9 8082 c.example.")
		f.after(ttl(20))
		f.want("_http._tcp.example: 192.0.2.3:8082*9") // another priority
	})
}

func TestServiceFallsToPriorityWithAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		z.set(srvKey, "_http._tcp.example. 600 IN SRV 10 5 80 gone.example.", "_http._tcp.example. 600 IN SRV 20 5 80 c.example.")
		f := start(t, z, Options{}, service)
		f.want("_http._tcp.example: 192.0.2.3:80*5 failed")
		z.set("gone.example. A", "gone.example. 600 IN A 192.0.2.9")
		f.after(2 * time.Second)
		f.want("_http._tcp.example: 192.0.2.9:80*5")
	})
}

func TestServiceAdditional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		z.set(srvKey, "_http._tcp.example. 600 IN SRV 10 5 80 a.example.")
		z.extra[srvKey] = []string{"a.example. 30 IN A 192.0.2.50", "a.example. 30 IN AAAA 2001:db8::50", "x.example. 1 IN A 192.0.2.66"}
		f := start(t, z, Options{}, service)
		f.want("_http._tcp.example: 192.0.2.50:80*5 [2001:db8::50]:80*5")
		if n := z.count("a.example. A"); n != 0 {
			t.Errorf("asked %d times for what came along", n)
		}
		if got := f.Results()[0].TTL; got != 30*time.Second-2*gather {
			t.Errorf("TTL = %v, want that of the addresses that came along", got)
		}
	})
}

func TestServiceLastGoodIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		z.set(srvKey, "_http._tcp.example. 20 IN SRV 10 5 80 a.example.")
		f := start(t, z, Options{StaleMax: time.Hour}, service)
		f.want("_http._tcp.example: 192.0.2.1:80*5")
		z.set(srvKey, "_http._tcp.example. 20 IN SRV 0 0 0 .") // not offered
		f.after(ttl(20))
		f.want("_http._tcp.example: 192.0.2.1:80*5 stale failed")
		z.fail("_http._tcp.example.", dns.RcodeNameError)
		f.after(time.Minute)
		f.want()
		f.after(time.Hour)
		f.want("_http._tcp.example:  failed")
		z.set(srvKey, "_http._tcp.example. 20 IN SRV 10 5 80 c.example.")
		f.after(2 * retryMax)
		f.want("_http._tcp.example: 192.0.2.3:80*5")
	})
}

// A target that is new and slow must not leave the source without targets meanwhile.
func TestNewTargetsAreAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := hostsZone()
		z.set(srvKey, "_http._tcp.example. 600 IN SRV 10 5 80 a.example.")
		z.fail("slow.example.", dropped)
		f := start(t, z, Options{Timeout: time.Minute}, service)
		f.after(settleMax)
		f.want("_http._tcp.example: 192.0.2.1:80*5")

		z.set(srvKey, "_http._tcp.example. 20 IN SRV 10 5 80 slow.example.", "_http._tcp.example. 20 IN SRV 10 5 80 c.example.")
		f.RefreshNow()
		f.after(settleMax - time.Second)
		f.want()
		f.known(service, "192.0.2.1:80*5")
		f.after(2 * time.Second)
		f.want("_http._tcp.example: 192.0.2.3:80*5")
	})
}
