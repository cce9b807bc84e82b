package exchange

import (
	"net/netip"
	"testing"

	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/snapshot"
)

func TestIdentifyClient(t *testing.T) {
	const peer = "10.0.0.9"
	for _, test := range []struct {
		trusted bool
		lines   []string
		want    string
	}{
		{false, []string{"192.0.2.1"}, peer},
		{true, nil, peer},
		{true, []string{"192.0.2.1"}, "192.0.2.1"},
		{true, []string{"198.51.100.7, 192.0.2.1"}, "192.0.2.1"}, // what is further left anybody may claim
		{true, []string{"192.0.2.1, 10.0.0.2, 10.0.0.3"}, "192.0.2.1"},
		{true, []string{"198.51.100.7", "192.0.2.1,10.0.0.2"}, "192.0.2.1"},
		{true, []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{true, []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"}, // all of them are ours
		{true, []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{true, []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{true, []string{"2001:db8::1"}, "2001:db8::1"},
		{true, []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{true, []string{"192.0.2.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{true, []string{"192.0.2.1, , 10.0.0.2"}, "10.0.0.2"},
		{true, []string{"fe80::1%eth0"}, peer},
	} {
		addr := netip.MustParseAddr(peer)
		head := message.Head{Forwarded: true}
		for _, line := range test.lines {
			start := len(head.Buf)
			head.Buf = append(head.Buf, line...)
			head.Fields = append(head.Fields, message.Field{
				ID:    message.FieldXForwardedFor,
				Value: message.Span{Start: uint16(start), End: uint16(len(head.Buf))},
			})
		}
		x := &exchange{request: request{
			trusted: test.trusted, s: &snapshot.Snapshot{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
			req: &message.Request{Head: head, Client: &message.Client{Addr: netip.AddrPortFrom(addr, 1), Text: []byte(peer)}},
		}}
		x.identifyClient()
		if x.client.String() != test.want || string(x.clientText) != test.want {
			t.Errorf("client behind %q (trusted: %v) = %v, %q, want %s", test.lines, test.trusted, x.client, x.clientText, test.want)
		}
	}
}
