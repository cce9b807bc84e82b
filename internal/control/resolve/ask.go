package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/miekg/dns"
)

// asker asks the servers of a system.
type asker struct {
	net     exchanger
	timeout time.Duration // for one server and one answer
	system  system
}

// reply is what came of asking for records of one type: records, or an error. absent
// says that the answer is firm: there are none.
type reply struct {
	found  []dns.RR
	extra  []dns.RR
	ttl    time.Duration
	server string
	absent bool
	err    error
}

// ask asks the servers in order until one gives a firm answer. A round in which one timed
// out is repeated: datagrams get lost.
func (a *asker) ask(ctx context.Context, name string, qtype uint16) reply {
	var first error
	for range attemptsMax {
		lost := false
		for _, server := range a.system.servers {
			r := a.askServer(ctx, name, qtype, server)
			if r.err == nil || r.absent {
				return r
			}
			if ctx.Err() != nil {
				return reply{err: ctx.Err()}
			}
			lost = lost || errors.Is(r.err, os.ErrDeadlineExceeded)
			if first == nil {
				first = fmt.Errorf("%s %s: server %s: %w", name, dns.TypeToString[qtype], server, r.err)
			}
		}
		if !lost {
			break
		}
	}
	return reply{err: first}
}

func (a *asker) askServer(ctx context.Context, name string, qtype uint16, server string) reply {
	answer, err := a.query(ctx, name, qtype, server)
	if err != nil {
		return reply{err: err}
	}
	found, ttl := collect(answer, name, qtype)
	if err = judge(answer); err == nil && len(found) == 0 {
		err = ErrNoRecords
	}
	r := reply{found: found, extra: answer.Extra, ttl: time.Duration(ttl) * time.Second, server: server, err: err}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoRecords) {
		r.absent, r.err = true, fmt.Errorf("%s: %w (server %s)", name, err, server)
	}
	return r
}

// query sends a question over UDP, and over TCP when the answer was cut. A server that
// balks at EDNS is asked without it (RFC 6891 section 7).
func (a *asker) query(ctx context.Context, name string, qtype uint16, server string) (*dns.Msg, error) {
	answer, err := a.transfer(ctx, newQuery(name, qtype, true), server)
	if err == nil && (answer.Rcode == dns.RcodeFormatError || answer.Rcode == dns.RcodeNotImplemented) {
		return a.transfer(ctx, newQuery(name, qtype, false), server)
	}
	return answer, err
}

// newQuery returns a question with a fresh random id.
func newQuery(name string, qtype uint16, edns bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, qtype)
	if edns {
		m.SetEdns0(udpBytesMax, false)
	}
	return m
}

func (a *asker) transfer(ctx context.Context, query *dns.Msg, server string) (*dns.Msg, error) {
	answer, err := a.exchange(ctx, query, "udp", server)
	if answer != nil && answer.Truncated { // where it was cut, it may not even parse
		answer, err = a.exchange(ctx, query, "tcp", server)
		if err == nil && answer.Truncated {
			err = errors.New("answer is cut over TCP too")
		}
	}
	if err != nil {
		return nil, err
	}
	// FORMERR may come without the question.
	if answer.Rcode == dns.RcodeFormatError && answer.Response {
		return answer, nil
	}
	return answer, verify(query, answer)
}

// exchange bounds one exchange in time. Its timeout is os.ErrDeadlineExceeded.
func (a *asker) exchange(parent context.Context, query *dns.Msg, network, server string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(parent, a.timeout)
	defer cancel()
	answer, err := a.net.exchange(ctx, query, network, server)
	if err == nil || parent.Err() != nil {
		return answer, err
	}
	var ne net.Error
	if ctx.Err() != nil || errors.As(err, &ne) && ne.Timeout() {
		return answer, fmt.Errorf("no answer over %s in %v: %w", network, a.timeout, os.ErrDeadlineExceeded)
	}
	return answer, fmt.Errorf("%s: %w", network, err)
}

// timeLeft returns how long ctx has to live, at least a moment.
func timeLeft(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return timeoutDefault
	}
	return max(time.Until(deadline), time.Millisecond)
}
