package retry

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseCondition(t *testing.T) {
	for _, test := range []struct {
		name string
		want Condition
		ok   bool
	}{
		{"connect_failure", ConnectFailure, true},
		{"connect-failure", ConnectFailure, true},
		{"refused_stream", RefusedStream, true},
		{"refused-stream", RefusedStream, true},
		{"reset", Reset, true},
		{"timeout", Timeout, true},
		{"gateway_error", GatewayError, true},
		{"gateway-error", GatewayError, true},
		{"server-error", ServerError, true},
		{"server_error", ServerError, true},
		{"", 0, false},
		{"Reset", 0, false},
		{"5xx", 0, false},
		{"servererror", 0, false},
	} {
		if got, ok := ParseCondition(test.name); got != test.want || ok != test.ok {
			t.Errorf("ParseCondition(%q) = %b, %v, want %b, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestStatuses(t *testing.T) {
	for code, want := range map[int]bool{-400: false, 0: false, 399: false, 400: true, 463: true, 464: true, 599: true, 600: false, 656: false} {
		var s Statuses
		if got := s.Add(code); got != want || s.Has(code) != want {
			t.Errorf("Add(%d), Has(%d) = %v, %v, want %v", code, code, got, s.Has(code), want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var s Statuses
		in := make(map[int]bool)
		for _, code := range rapid.SliceOf(rapid.IntRange(300, 700)).Draw(t, "codes") {
			want := code >= 400 && code <= 599
			if got := s.Add(code); got != want {
				t.Fatalf("Add(%d) = %v, want %v", code, got, want)
			}
			in[code] = want
		}
		for code := -100; code < 1100; code++ {
			if got := s.Has(code); got != in[code] {
				t.Fatalf("Has(%d) = %v, want %v", code, got, in[code])
			}
		}
	})
}

func TestStatus(t *testing.T) {
	var listed Statuses
	listed.Add(429)
	listed.Add(503)
	for _, test := range []struct {
		name   string
		policy Policy
		codes  []int // the only ones that are tried again
	}{
		{"nothing", Policy{}, nil},
		{"other conditions", Policy{On: ConnectFailure | RefusedStream | Reset | Timeout}, nil},
		{"listed", Policy{Statuses: listed}, []int{429, 503}},
		{"gateway errors", Policy{On: GatewayError}, []int{502, 503, 504}},
		{"both", Policy{On: GatewayError, Statuses: listed}, []int{429, 502, 503, 504}},
	} {
		want := make(map[int]bool)
		for _, code := range test.codes {
			want[code] = true
		}
		for code := range 1000 {
			if got := test.policy.Status(code); got != want[code] {
				t.Errorf("%s: Status(%d) = %v, want %v", test.name, code, got, want[code])
			}
		}
	}
	all := Policy{On: ServerError}
	for code := range 1000 {
		if got, want := all.Status(code), code >= 500 && code < 600; got != want {
			t.Errorf("server errors: Status(%d) = %v, want %v", code, got, want)
		}
	}
}

func TestDelay(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		backoff, limit time.Duration
		try            int
		want           time.Duration // at most
	}{
		{25 * ms, 250 * ms, 1, 25 * ms},
		{25 * ms, 250 * ms, 2, 50 * ms},
		{25 * ms, 250 * ms, 4, 200 * ms},
		{25 * ms, 250 * ms, 5, 250 * ms},
		{25 * ms, 250 * ms, 100, 250 * ms},
		{25 * ms, 250 * ms, 0, 25 * ms},
		{25 * ms, 10 * ms, 1, 10 * ms},
		{25 * ms, 0, 3, 100 * ms},
		{25 * ms, 0, 1000, math.MaxInt64},
		{1, 0, 63, 1 << 62},
		{1, 0, 64, math.MaxInt64},
		{3, 0, 63, math.MaxInt64},
		{0, 250 * ms, 5, 0},
		{0, 0, 1, 0},
	} {
		p := Policy{Backoff: test.backoff, BackoffMax: test.limit}
		if got := p.Delay(test.try, math.MaxUint64); got != test.want {
			t.Errorf("Delay(%d, most) of %v up to %v = %v, want %v", test.try, test.backoff, test.limit, got, test.want)
		}
		if got := p.Delay(test.try, 0); got != 0 {
			t.Errorf("Delay(%d, 0) of %v up to %v = %v, want 0", test.try, test.backoff, test.limit, got)
		}
		if got := p.Delay(test.try, 1<<63); max(got-test.want/2, test.want/2-got) > 1 {
			t.Errorf("Delay(%d, half) of %v up to %v = %v, want %v", test.try, test.backoff, test.limit, got, test.want/2)
		}
	}
}

func TestCallStatuses(t *testing.T) {
	var s CallStatuses
	for name, want := range map[string]bool{"unavailable": true, "resource-exhausted": true, "Unavailable": false, "ok": false, "": false, "14": false} {
		if got := s.AddName(name); got != want {
			t.Errorf("AddName(%q) = %v, want %v", name, got, want)
		}
	}
	for field, want := range map[string]bool{"14": true, "8": true, "08": true, "13": false, "0": false, "": false, "014": false, "x": false, "1x": false, "46": false, "99": false, "-1": false} {
		if got := s.Has([]byte(field)); got != want {
			t.Errorf("Has(%q) = %v, want %v", field, got, want)
		}
	}
}
