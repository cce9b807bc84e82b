package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// exchanger sends one query to one server and returns what came back. With a message
// that couldn't be read whole, it may return both that and an error.
type exchanger interface {
	exchange(ctx context.Context, query *dns.Msg, network, server string) (*dns.Msg, error)
}

// wire is the exchanger of the network: a fresh socket, so a fresh port, for each query.
type wire struct{}

func (wire) exchange(ctx context.Context, query *dns.Msg, network, server string) (*dns.Msg, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(closed); c.Close() })
	defer func() {
		if !stop() {
			<-closed
		}
		c.Close()
	}()
	client := dns.Client{Net: network, Timeout: timeLeft(ctx)}
	answer, _, err := client.ExchangeWithConn(query, &dns.Conn{Conn: c})
	return answer, err
}

// verify reports what speaks against taking an answer for that of a query. The id was
// compared when it was read.
func verify(query, answer *dns.Msg) error {
	if !answer.Response || answer.Opcode != dns.OpcodeQuery || len(answer.Question) != 1 {
		return errors.New("not an answer")
	}
	asked, got := query.Question[0], answer.Question[0]
	if got.Qtype != asked.Qtype || got.Qclass != asked.Qclass || !strings.EqualFold(got.Name, asked.Name) {
		return errors.New("answer to another question")
	}
	return nil
}

// judge returns the error that an answer stands for.
func judge(answer *dns.Msg) error {
	switch answer.Rcode {
	case dns.RcodeNameError:
		return ErrNotFound
	case dns.RcodeSuccess:
	default:
		return fmt.Errorf("server answers %s", rcodeText(answer.Rcode))
	}
	lame := !answer.Authoritative && !answer.RecursionAvailable && len(answer.Ns) > 0
	if len(answer.Answer) == 0 && lame { // a referral: it neither knows nor asks
		return errors.New("server refers to others")
	}
	return nil
}

func rcodeText(code int) string {
	if text, ok := dns.RcodeToString[code]; ok {
		return text
	}
	return fmt.Sprintf("code %d", code)
}

// collect returns the records of a type that an answer has for a name, at the end of its
// chain of CNAMEs, and the smallest TTL on the way, in seconds.
func collect(answer *dns.Msg, name string, qtype uint16) (found []dns.RR, ttl uint32) {
	ttl = 1<<31 - 1
	for range chainMax {
		alias, aliasTTL := "", uint32(0)
		for _, rr := range answer.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if cname, ok := rr.(*dns.CNAME); ok {
				alias, aliasTTL = cname.Target, h.Ttl
			}
			if h.Rrtype == qtype {
				found = append(found, rr)
				ttl = min(ttl, saneTTL(h.Ttl))
			}
		}
		if len(found) > 0 || alias == "" {
			return found, ttl
		}
		name, ttl = alias, min(ttl, saneTTL(aliasTTL))
	}
	return nil, 0
}

// saneTTL takes a TTL with the highest bit set for 0 (RFC 2181 section 8).
func saneTTL(ttl uint32) uint32 {
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}
