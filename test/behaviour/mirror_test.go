package behaviour

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/origin"
)

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("it didn't come about that %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// mirrored is a configuration whose route copies its requests as the block says.
func mirrored(main, shadow *origin.Origin, block string) string {
	return fmt.Sprintf("routes { route \"r\" { upstream \"main\"; mirror \"shadow\" { %s } } }\nupstreams { %s %s }\n",
		block, upstream("main", main, ""), upstream("shadow", shadow, ""))
}

// TestMirror sees which requests are copied, and that the original never waits.
func TestMirror(t *testing.T) {
	main := origin.Start(t, origin.OK(2))

	t.Run("every request with its content", func(t *testing.T) {
		shadow := origin.Start(t, origin.OK(2))
		p := start(t, "", mirrored(main, shadow, ""))
		p.raw("POST", "POST /copied?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
		eventually(t, "the copy arrives", func() bool { return strings.HasSuffix(string(shadow.Received()), "\r\n\r\nhello") })
		if got := string(shadow.Received()); !strings.HasPrefix(got, "POST /copied?a=1 HTTP/1.1\r\n") || !strings.Contains(got, "X-Forwarded-For: 127.0.0.1") {
			t.Errorf("the mirror received %q, want what the upstream receives", got)
		}
		eventually(t, "the copy is counted", func() bool {
			return strings.Contains(p.Metrics(), `sentinel_mirrored_total{outcome="sent",route="r"} 1`)
		})
	})

	t.Run("percent", func(t *testing.T) {
		shadow := origin.Start(t, origin.OK(2))
		p := start(t, "", mirrored(main, shadow, "percent 30"))
		const sent = 400
		for range sent {
			p.do("GET", "/")
		}
		eventually(t, "about 30 % are copied", func() bool { return shadow.Requests() > sent*15/100 })
		if n := shadow.Requests(); n > sent*45/100 {
			t.Errorf("%d of %d requests were copied, want about 30 %%", n, sent)
		}
	})

	t.Run("max-body-size", func(t *testing.T) {
		shadow := origin.Start(t, origin.OK(2))
		p := start(t, "", mirrored(main, shadow, "max-body-size 4"))
		p.raw("POST", "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
		p.raw("POST", "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nhell")
		eventually(t, "the small request is copied", func() bool { return shadow.Requests() == 1 })
		if got := string(shadow.Received()); !strings.HasPrefix(got, "POST /small ") {
			t.Errorf("the mirror received %q, want the small request alone", got)
		}
		if m := p.Metrics(); !strings.Contains(m, `sentinel_mirrored_total{outcome="skipped",route="r"} 1`) {
			t.Error("the request that was too large isn't counted as skipped")
		}
	})

	t.Run("max-concurrent, and a mirror that hangs", func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		shadow := origin.Start(t, func(c *origin.Conn) { c.Stall(hang) })
		p := start(t, "", mirrored(main, shadow, "max-concurrent 2"))
		for range 5 {
			if r := p.do("GET", "/"); r.Status != 200 {
				t.Errorf("with a mirror that hangs the original answers %d", r.Status)
			}
		}
		if m := p.Metrics(); !strings.Contains(m, `sentinel_mirrored_total{outcome="skipped",route="r"} 3`) {
			t.Error("of 5 copies with max-concurrent 2 there are not 3 skipped")
		}
		if n := shadow.Connections(); n > 2 {
			t.Errorf("the mirror has %d connections, want 2 at most", n)
		}
	})

	t.Run("a mirror that is dead", func(t *testing.T) {
		shadow := origin.Start(t, origin.OK(2))
		shadow.Close()
		p := start(t, "", mirrored(main, shadow, ""))
		if r := p.do("GET", "/"); r.Status != 200 {
			t.Errorf("with a dead mirror the original answers %d", r.Status)
		}
		eventually(t, "the failure is counted", func() bool {
			return strings.Contains(p.Metrics(), `sentinel_mirrored_total{outcome="failed",route="r"} 1`)
		})
	})
}

// TestHedge sees a second target asked when the first one doesn't answer in time.
func TestHedge(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	slow := origin.Start(t, func(c *origin.Conn) {
		if _, err := c.ReadRequest(); err != nil {
			return
		}
		c.Stall(hang)
	})
	quick := origin.Start(t, origin.OK(7))
	config := func(retry string) string {
		return fmt.Sprintf("routes { route \"r\" { upstream \"u\"; timeouts { request-secs 60; read-secs 60 }; retry-policy { %s } } }\n"+
			"upstreams { upstream \"u\" { target %q; target %q } }\n", retry, slow.Addr(), quick.Addr())
	}
	p := start(t, "", config("hedge-after-secs 0.1; max-attempts 1"))
	for range 4 { // round robin begins with the slow one for half of them
		if r := p.do("GET", "/"); r.Status != 200 || len(r.Content.Data) != 7 {
			t.Errorf("GET with one target that hangs = %d with %d bytes, want 200 with 7", r.Status, len(r.Content.Data))
		}
	}
	if slow.Requests() == 0 {
		t.Error("the slow target was never asked first")
	}
	if m := p.Metrics(); !strings.Contains(m, `sentinel_upstream_retries_total{upstream="u"} 2`) {
		t.Errorf("the hedges aren't counted: %s", linesWith(m, "retries_total"))
	}
}

func linesWith(text, part string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}
