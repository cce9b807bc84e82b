package exchange

import (
	"testing"
	"time"
)

func TestParseGRPCTimeout(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"1S", time.Second, true},
		{"250m", 250 * time.Millisecond, true},
		{"7u", 7 * time.Microsecond, true},
		{"99999999n", 99999999, true},
		{"2M", 2 * time.Minute, true},
		{"0S", 0, true},
		{"99999999H", grpcTimeoutMax, true},
		{"", 0, false},
		{"S", 0, false},
		{"1", 0, false},
		{"-1S", 0, false},
		{"1s", 0, false},
		{"123456789S", 0, false},
		{"1.5S", 0, false},
	} {
		if got, ok := parseGRPCTimeout([]byte(c.in)); got != c.want || ok != c.ok {
			t.Errorf("parseGRPCTimeout(%q) = %v, %v, want %v, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}
