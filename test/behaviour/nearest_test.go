package behaviour

import (
	"testing"

	"sentinel/internal/testkit/origin"
	"sentinel/internal/testkit/rawclient"
)

// Two listeners with limits of their own share a route: each request is held to the limit
// of the listener it came by.
func TestEachListenerHasItsOwnLimits(t *testing.T) {
	o := origin.Start(t, origin.OK(2))
	p := start(t, `limits { max-body-size 2 } }; listener "m" { address "127.0.0.1:0"; limits { max-body-size 20 }`,
		`routes { route "r" { upstream "o" } }
upstreams { upstream "o" { target "`+o.Addr()+`" } }`)
	for _, test := range []struct {
		addr string
		want int
	}{{p.addr, 413}, {p.Addr("m"), 200}} {
		r, err := rawclient.Do(test.addr, "POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		if err != nil || r.Status != test.want {
			t.Errorf("POST to %s = %d, %v, want %d", test.addr, r.Status, err, test.want)
		}
	}
}
