package kernelban

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBehind(t *testing.T) {
	for prefix, want := range map[string]string{
		"192.0.2.7/32":   "192.0.2.8",
		"192.0.2.0/24":   "192.0.3.0",
		"10.0.0.0/7":     "12.0.0.0",
		"255.0.0.0/8":    "invalid IP",
		"0.0.0.0/0":      "invalid IP",
		"2001:db8::/32":  "2001:db9::",
		"2001:db8::1/64": "2001:db8:0:1::",
		"ffff::/16":      "invalid IP",
	} {
		if got := behind(netip.MustParsePrefix(prefix).Masked()).String(); got != want {
			t.Errorf("behind(%s) = %s, want %s", prefix, got, want)
		}
	}
}

// Timeouts are never longer than the lease, and never none.
func TestLease(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]time.Duration{
		0: leaseMax, time.Minute: time.Minute, time.Hour: leaseMax, -time.Second: time.Millisecond,
	} {
		b := Ban{Prefix: netip.MustParsePrefix("192.0.2.0/24")}
		if left != 0 {
			b.Until = now.Add(left)
		}
		if got := interval(b, now)[0].Timeout; got != want {
			t.Errorf("a ban with %v left has the timeout %v, want %v", left, got, want)
		}
	}
}

// What the kernel is given holds exactly the addresses of the bans, and no two of it overlap.
func TestWidest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		octet := rapid.SampledFrom([]byte{0, 1, 127, 128, 254, 255})
		address := func() netip.Addr {
			a := netip.AddrFrom4([4]byte{octet.Draw(t, "a"), octet.Draw(t, "b"), octet.Draw(t, "c"), octet.Draw(t, "d")})
			if rapid.Bool().Draw(t, "six") {
				b := a.As4()
				a = netip.AddrFrom16([16]byte{b[0], b[1], b[2], b[3], 15: b[3]})
			}
			return a
		}
		var list []Ban
		for range rapid.IntRange(0, 20).Draw(t, "bans") {
			a := address()
			p, _ := a.Prefix(rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
			list = append(list, Ban{Prefix: p})
		}
		got := widest(list)
		for i, a := range got {
			for _, b := range got[i+1:] {
				if a.Prefix.Overlaps(b.Prefix) {
					t.Fatalf("widest(%v) holds %v and %v", list, a.Prefix, b.Prefix)
				}
			}
		}
		for range 20 {
			a := address()
			holds := func(b Ban) bool { return b.Prefix.Contains(a) }
			if want := slices.ContainsFunc(list, holds); slices.ContainsFunc(got, holds) != want {
				t.Fatalf("widest(%v) = %v, holds %v: want %v", list, got, a, want)
			}
		}
	})
}

func TestOnlySoManyReachTheKernel(t *testing.T) {
	var list []Ban
	for i := range entriesMax {
		list = append(list, Ban{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.1/32", i>>8, i&255))})
	}
	wide := Ban{Prefix: netip.MustParsePrefix("192.0.2.0/24")}
	if got := widest(append(list, wide)); len(got) != entriesMax || !slices.Contains(got, wide) {
		t.Errorf("%d of %d bans, want %d with the widest", len(got), len(list)+1, entriesMax)
	}
}
