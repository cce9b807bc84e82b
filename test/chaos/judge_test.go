package chaos

import (
	"bufio"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The client of the load knows a good answer from every other: a run that can't see a
// failure proves nothing.
func TestJudge(t *testing.T) {
	text := answerText("1", "7", "GET", nil)
	const head = "HTTP/1.1 200 OK\r\nX-Chaos-Origin: 1\r\n"
	framed := head + "Content-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n"
	for _, c := range []struct {
		name, answer string
		want         verdict
	}{
		{"whole", framed + text, verdictGood},
		{"short", framed + text[:len(text)/2], verdictBroken},
		{"short, chunked", head + "Transfer-Encoding: chunked\r\n\r\n10\r\n" + text[:16] + "\r\n", verdictBroken},
		{"short, with a length that fits", head + "Content-Length: 500\r\n\r\n" + text[:500], verdictWrong},
		{"short, chunked and ended", head + "Transfer-Encoding: chunked\r\n\r\n10\r\n" + text[:16] + "\r\n0\r\n\r\n", verdictWrong},
		{"somebody else's", framed + strings.Replace(text, "id=7", "id=8", 1), verdictWrong},
		{"of no origin", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", verdictWrong},
		{"503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", verdictRefused},
		{"half a head", head, verdictBroken},
		{"nothing", "", verdictBroken},
	} {
		conn := client{r: bufio.NewReader(strings.NewReader(c.answer))}
		r := result{method: "GET"}
		conn.judge(&r, "7", nil)
		if r.verdict != c.want {
			t.Errorf("judge of %s = %v (%s), want %v", c.name, r.verdict, r.what, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var values []time.Duration
	for i := range 100 {
		values = append(values, time.Duration(100-i))
	}
	for _, c := range []struct {
		share float64
		want  time.Duration
	}{{0, 1}, {0.5, 51}, {0.99, 100}, {1, 100}} {
		if got := quantile(values, c.share); got != c.want {
			t.Errorf("quantile(1 to 100, %v) = %v, want %v", c.share, got, c.want)
		}
	}
	if got := quantile(nil, 0.99); got != 0 {
		t.Errorf("quantile of nothing = %v, want 0", got)
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range []mode{{kind: modeOK}, {kind: modeSlow, delay: 2 * time.Second, checks: true}, {kind: modeStatus, status: 503}} {
		got, err := parseMode(m.String())
		if err != nil || got != m {
			t.Errorf("parseMode(%q) = %+v, %v, want %+v", m.String(), got, err, m)
		}
	}
	if _, err := parseMode("slow"); err == nil {
		t.Error(`parseMode("slow") passes`)
	}
}
