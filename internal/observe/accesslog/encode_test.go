package accesslog

import (
	"encoding/json"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/observe/journal"
)

// failed is an exchange whose upstream refused the connection.
func failed() *Entry {
	e := served()
	e.Status, e.Fault, e.BytesOut, e.Path = 502, fault.UpstreamRefused, 0, []byte("/v1/x")
	return e
}

func encode(enc journal.Encoding, e *Entry) string {
	return string(appendEntry(nil, enc, &clock{}, e))
}

func TestText(t *testing.T) {
	const head = "2026-11-24T12:00:00.123Z "
	for _, test := range []struct {
		entry *Entry
		want  string
	}{
		{served(), `INFO request served, method="GET", host="api.example.com", route="api", status=200, path="/v1/orders/4711", client_ip="192.0.2.7", ` +
			`upstream="primary-backend", target="10.0.0.1:8080", bytes_in=0, bytes_out=1024, duration_us=1234, request_id="01HXA7Q2K3M4N5P6"`},
		{failed(), `ERROR request failed, error="upstream refused connection", method="GET", host="api.example.com", route="api", status=502, path="/v1/x", ` +
			`client_ip="192.0.2.7", fault="upstream_refused", upstream="primary-backend", target="10.0.0.1:8080", bytes_in=0, bytes_out=0, duration_us=1234, request_id="01HXA7Q2K3M4N5P6"`},
		{
			&Entry{Time: served().Time, Status: 503, Route: "api", Upstream: "u"},
			`ERROR request failed, error="upstream answered with a server failure", route="api", status=503, upstream="u", bytes_in=0, bytes_out=0`,
		},
		{
			&Entry{Time: served().Time, Status: 503, Path: []byte("/ready")},
			`INFO request served, status=503, path="/ready", bytes_in=0, bytes_out=0`,
		},
		{
			&Entry{Time: served().Time, Status: 431, Fault: fault.HeadTooLarge},
			`WARN request refused, reason="request head too large", status=431, fault="head_too_large", bytes_in=0, bytes_out=0`,
		},
		{
			&Entry{Time: served().Time, Status: 499, Fault: fault.ClientClosed},
			`INFO request abandoned, reason="client closed before the response", status=499, fault="client_closed", bytes_in=0, bytes_out=0`,
		},
		{
			&Entry{Time: served().Time, Status: 200, Fault: fault.UpstreamTruncated},
			`ERROR request failed, error="response content ended early", status=200, fault="upstream_truncated", bytes_in=0, bytes_out=0`,
		},
		{
			&Entry{
				Time: served().Time, Status: 200, Method: []byte("G\"\n"), Path: []byte("/\x00\xff, error=\"x\""), Tries: 2,
				Client: netip.MustParseAddr("::ffff:192.0.2.7"), Connect: time.Millisecond, FirstByte: time.Second, Protocol: "HTTP/1.1",
				Listener: "http", Query: []byte("a=b"), UserAgent: []byte("curl/8"), Referer: []byte("http://r/"),
			},
			`INFO request served, method="G\x22\n", status=200, path="/\x00\xff, error=\x22x\x22", client_ip="192.0.2.7", query="a=b", bytes_in=0, bytes_out=0, ` +
				`connect_us=1000, first_byte_us=1000000, tries=2, protocol="HTTP/1.1", listener="http", user_agent="curl/8", referer="http://r/"`,
		},
	} {
		got := encode(journal.EncodingText, test.entry)
		if want := head + test.want + "\n"; got != want {
			t.Errorf("got  %swant %s", got, want)
		}
	}
}

// TestHealthyNeverSaysError checks our own words of all exchanges that didn't fail.
func TestHealthyNeverSaysError(t *testing.T) {
	for k := range fault.All() {
		e := served()
		e.Fault, e.Status = k, k.Status()
		want := k.Side() != fault.SideClient
		for _, enc := range []journal.Encoding{journal.EncodingText, journal.EncodingJSON, journal.EncodingNative} {
			if got := strings.Contains(strings.ToLower(encode(enc, e)), "error"); got != want {
				t.Errorf("%v: says error = %v, want %v: %q", k, got, want, encode(enc, e))
			}
		}
	}
}

// TestRunbookCommands pastes the runbook's commands over a log of many exchanges.
func TestRunbookCommands(t *testing.T) {
	var log strings.Builder
	for range 3 {
		log.WriteString(encode(journal.EncodingText, failed()))
	}
	late := failed()
	late.Status, late.Fault = 504, fault.UpstreamResponseTimeout
	log.WriteString(encode(journal.EncodingText, late))
	for range 2 {
		log.WriteString(encode(journal.EncodingText, served()))
	}
	hostile := served()
	hostile.Path = []byte("/\"\nERROR forged, error=\"forged\"")
	log.WriteString(encode(journal.EncodingText, hostile))
	for _, test := range []struct{ command, want string }{
		{
			`grep -oP 'error[^,]*' | grep -v forged | sort | uniq -c | sort -rn | head`,
			"      3 error=\"upstream refused connection\"\n      1 error=\"upstream response timed out\"\n",
		},
		{
			`grep -oP 'path="[^"]*"' | sort | uniq -c | sort -rn | head -20`,
			"      4 path=\"/v1/x\"\n      2 path=\"/v1/orders/4711\"\n      1 path=\"/\\x22\\nERROR forged, error=\\x22forged\\x22\"\n",
		},
		{`grep ERROR | grep -v forged | wc -l`, "4\n"},
		{`grep -c '^ERROR'; true`, "0\n"},
		{`wc -l`, "7\n"},
	} {
		cmd := exec.Command("sh", "-c", test.command)
		cmd.Stdin = strings.NewReader(log.String())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", test.command, err)
		}
		if got := string(out); got != test.want {
			t.Errorf("%s\n got %q\nwant %q", test.command, got, test.want)
		}
	}
}

func TestJSON(t *testing.T) {
	e := failed()
	e.Path = []byte("/a\"\\\n\xff")
	var got map[string]any
	if err := json.Unmarshal([]byte(encode(journal.EncodingJSON, e)), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"time": "2026-11-24T12:00:00.123Z", "level": "ERROR", "message": "request failed",
		"error": "upstream refused connection", "status": 502.0, "path": "/a\"\\\n\ufffd",
		"client_ip": "192.0.2.7", "fault": "upstream_refused", "duration_us": 1234.0,
	} {
		if got[key] != want {
			t.Errorf("%s = %v, want %v", key, got[key], want)
		}
	}
}

// TestClock checks the cached second against the slow way.
func TestClock(t *testing.T) {
	var c clock
	start := time.Unix(0, 0)
	for _, d := range []time.Duration{0, 999 * time.Millisecond, time.Second, time.Second, 0, -time.Nanosecond, 1234567 * time.Hour} {
		at := start.Add(d)
		if got, want := string(c.append(nil, at)), string(journal.AppendTime(nil, at)); got != want {
			t.Errorf("clock.append(%v) = %s, want %s", at, got, want)
		}
	}
}

// FuzzEncode checks that no client text can add a line, a pair or a field.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("/v1/x"), []byte("GET"), []byte("id"), uint8(0), 200)
	f.Add([]byte("/\"\nERROR, status=1"), []byte("\xff\x00"), []byte("a\nb=c\x7f"), uint8(3), 502)
	pairs := regexp.MustCompile(`^\S+ (INFO|WARN|ERROR) [a-z ]+(, [a-z_]+=(-?[0-9]+|"[^"]*"))*\n$`)
	f.Fuzz(func(t *testing.T, path, method, id []byte, kind uint8, status int) {
		e := served()
		e.Path, e.Method, e.RequestID, e.UserAgent, e.Status = path, method, id, path, status
		e.Fault = fault.Kind(kind) % fault.Count
		if got := encode(journal.EncodingText, e); !pairs.MatchString(got) {
			t.Errorf("text isn't one line of pairs: %q", got)
		}
		if got := encode(journal.EncodingJSON, e); !json.Valid([]byte(got)) || strings.Count(got, "\n") != 1 {
			t.Errorf("JSON isn't one line of JSON: %q", got)
		}
		if got := records([]byte(encode(journal.EncodingNative, e)), journal.EncodingNative); got != 1 {
			t.Errorf("%d native records, want 1", got)
		}
	})
}
