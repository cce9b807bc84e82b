package explain

import (
	"fmt"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/queue"
	"sentinel/internal/dataplane/retry"
	"sentinel/internal/dataplane/upstream"
)

// answerOf says in words what a policy says.
func answerOf(j *exchange.Judged) admin.PolicyAnswer {
	p := admin.PolicyAnswer{Policy: j.Policy, Name: j.Name, Answer: "pass", Detail: detailOf(j)}
	switch {
	case j.Refuses != fault.None && j.Shadow:
		p.Answer, p.Fault = "shadow", j.Refuses.String()
		p.Detail += "; it would refuse, but only counts"
	case j.Refuses != fault.None:
		p.Answer, p.Fault = "refuse", j.Refuses.String()
	case j.Needs:
		p.Answer = "ask"
	}
	p.Detail = strings.TrimPrefix(p.Detail, "; ")
	return p
}

func detailOf(j *exchange.Judged) string {
	switch {
	case j.Policy == "rate limit" && j.Needs:
		return "it goes by who the client is, which isn't known here"
	case j.Policy == "rate limit" && j.Refuses != fault.None:
		return fmt.Sprintf("0 of %d left, the next in %s", j.Limit.Limit, j.Limit.RetryAfter.Round(time.Millisecond))
	case j.Policy == "rate limit" && j.Limit.RetryAfter > 0:
		return fmt.Sprintf("0 of %d left: it is held back for %s", j.Limit.Limit, j.Limit.RetryAfter.Round(time.Millisecond))
	case j.Policy == "rate limit":
		return fmt.Sprintf("%d of %d left", j.Limit.Remaining, j.Limit.Limit)
	case j.Policy == "challenge" && j.Given:
		return "it isn't challenged: the client has passed one, or requests of this kind never are"
	case j.Policy == "challenge":
		return fmt.Sprintf("this would be request %d of the client in about a minute, the threshold is %d", j.Count, j.Max)
	case j.Policy == "forward-auth":
		return "upstream " + j.Name + " is asked whether it may go on"
	case j.Policy == "cors" && !j.Given:
		return "no Origin: nothing to decide"
	case j.Policy == "cors":
		return ""
	case j.Needs && j.Given:
		return "credentials are there; whether they are right isn't tried"
	case j.Needs:
		return "credentials are asked for and there are none"
	case j.Max > 0:
		return fmt.Sprintf("%d of %d", j.Count, j.Max)
	}
	return ""
}

// onwardOf says in words where the request would go.
func onwardOf(d *exchange.Dry) *admin.OnwardPlan {
	o, r := d.Onward, d.Route
	p := &admin.OnwardPlan{
		Upstream: o.Upstream.Name, Balance: o.Upstream.Balance.String(), Targets: []admin.TargetPlan{},
		Queue: queueOf(o), Retries: retriesOf(r.Retry, o.Repeats),
	}
	if len(o.Upstreams) > 1 {
		for i, u := range o.Upstreams {
			p.Split = append(p.Split, fmt.Sprintf("%s %.1f%%", u.Name, 100*o.Shares[i]))
		}
	}
	for i := range o.Targets {
		p.Targets = append(p.Targets, targetOf(&o.Targets[i]))
	}
	switch {
	case o.Target == nil:
		p.Why = "no target takes requests"
	case o.Sticky:
		p.Target, p.Why = o.Target.Address, "the client's cookie names it"
	case o.Upstream.Balance.Keyed():
		p.Target, p.Why = o.Target.Address, "by a part of the request that keeps such ones together"
	default:
		p.Target, p.Why = o.Target.Address, "now; targets take turns by "+o.Upstream.Balance.String()
	}
	covers := "until the head of the response"
	if o.Covers {
		covers = "in all, content included"
	}
	p.Timeouts = []string{
		fmt.Sprintf("%s %s", o.Request, covers), fmt.Sprintf("%s for the head of the response", o.Head), fmt.Sprintf("%s between two reads", o.Silence),
	}
	if o.Fallback != nil {
		p.Fallback = o.Fallback.Name
	}
	return p
}

func targetOf(c *upstream.Candidate) admin.TargetPlan {
	t := admin.TargetPlan{Target: c.Address, Weight: c.Weight, State: c.Verdict().String(), Breaker: c.State, InFlight: c.Load.InFlight(), LatencyMS: float64(c.Latency) / float64(time.Millisecond), Refusal: c.Refusal}
	if c.Drained() {
		t.State = "drained"
	}
	return t
}

func queueOf(o *exchange.Onward) string {
	if o.Limits == (queue.Limits{}) {
		return fmt.Sprintf("%d in progress, no bound", o.InProgress)
	}
	return fmt.Sprintf("%d in progress of %d, %d waiting of %d", o.InProgress, o.Limits.Concurrent, o.Pending, o.Limits.Pending)
}

// retriesOf says when another try is made.
func retriesOf(p *retry.Policy, repeats bool) string {
	if p.Attempts <= 1 {
		return "one try"
	}
	text := fmt.Sprintf("up to %d tries", p.Attempts)
	if !repeats {
		text += "; once the application may have seen it none, for this method"
	}
	if p.HedgeAfter > 0 {
		text += fmt.Sprintf("; a second one beside the first after %s", p.HedgeAfter)
	}
	return text
}
