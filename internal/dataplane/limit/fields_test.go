package limit

import (
	"math"
	"testing"
	"time"
)

func TestAppendPolicy(t *testing.T) {
	cases := []struct {
		rule Rule
		want string
	}{
		{Rule{Name: "api", Requests: 100, Burst: 200}, `"api";q=200;w=2`},
		{Rule{Name: "api", Requests: 100}, `"api";q=100;w=1`},
		{Rule{Name: "api", Requests: 5, Burst: 1}, `"api";q=5;w=1`},
		{Rule{Name: "api", Requests: 3, Burst: 1}, `"api";q=3;w=1`},
		{Rule{Name: "login", Requests: 10, Per: time.Minute, Burst: 3}, `"login";q=3;w=18`},
		{Rule{Name: "daily", Requests: 1000, Per: 24 * time.Hour}, `"daily";q=1000;w=86400`},
		{Rule{Name: `a"b\c` + "\n\u00e9", Requests: 1}, `"a\"b\\c___";q=1;w=1`},
		{Rule{Requests: math.MaxInt64, Burst: math.MaxInt64}, `"";q=999999999999999;w=72057595`},
	}
	for _, c := range cases {
		if got := string(AppendPolicy(nil, c.rule)); got != c.want {
			t.Errorf("AppendPolicy(%v) = %s, want %s", c.rule, got, c.want)
		}
	}
}

func TestAppendLimit(t *testing.T) {
	cases := []struct {
		d          Decision
		want       string
		retryAfter string
	}{
		{Decision{Allowed: true, Limit: 10, Remaining: 10}, `"a";r=10`, "1"},
		{Decision{Allowed: true, Limit: 10, Remaining: 9, Next: 1, Reset: 1}, `"a";r=9;t=1`, "1"},
		{Decision{Limit: 10, Next: time.Second, RetryAfter: time.Second}, `"a";r=0;t=1`, "1"},
		{Decision{Limit: 10, Next: time.Second + 1, RetryAfter: 90 * time.Second}, `"a";r=0;t=2`, "90"},
		{Decision{Remaining: math.MaxInt64, Next: math.MaxInt64, RetryAfter: math.MaxInt64}, `"a";r=999999999999999;t=9223372037`, "9223372037"},
	}
	for _, c := range cases {
		if got := string(AppendLimit(nil, "a", c.d)); got != c.want {
			t.Errorf("AppendLimit(%v) = %s, want %s", c.d, got, c.want)
		}
		if got := string(AppendRetryAfter(nil, c.d.RetryAfter)); got != c.retryAfter {
			t.Errorf("AppendRetryAfter(%v) = %s, want %s", c.d.RetryAfter, got, c.retryAfter)
		}
	}
}

// TestFieldsAgree checks on a real table that no quota is less than what remains, and that
// Retry-After isn't before the end of the effective window.
func TestFieldsAgree(t *testing.T) {
	table := NewTable(Rule{Requests: 7, Per: 10 * time.Second, Burst: 3})
	for i := range 40 {
		d := table.Take(1, time.Duration(i)*300*time.Millisecond, int64(1+i%2))
		if !d.Allowed && seconds(d.RetryAfter) < seconds(d.Next) || d.Remaining > d.Limit || d.Remaining < 0 {
			t.Errorf("Take() no. %d = %+v", i, d)
		}
	}
}
