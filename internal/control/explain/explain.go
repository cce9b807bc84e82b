package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/route"
	"sentinel/internal/dataplane/snapshot"
)

// othersShown is how many routes that lost are shown where not all are asked for.
const othersShown = 20

// Explain says what a request would meet. Its error says what is wrong with the question.
func (e *Explainer) Explain(q admin.ExplainRequest) (admin.Explanation, error) {
	a, err := e.arrive(&q)
	if err != nil {
		return admin.Explanation{}, err
	}
	out := admin.Explanation{
		Request: q.Method + " " + q.URL, Listener: a.listener.Name, ListenerWhy: a.why, Offline: e.Offline,
		Client: a.request.Client.Addr.Addr().String(), Others: []admin.LostRoute{}, Policies: []admin.PolicyAnswer{},
	}
	if a.listener.TLS != nil {
		out.Certificate = certificateOf(a)
	}
	if a.refused != nil {
		fail(&out, fault.Of(a.refused))
		return out, nil
	}
	d := e.Proxy.Explain(a.request)
	out.Path, out.Client = d.Path, d.Client.String()
	addRoutes(&out, d, q.Everyone)
	for i := range d.Judged {
		out.Policies = append(out.Policies, answerOf(&d.Judged[i]))
	}
	conclude(&out, d)
	return out, nil
}

// certificateOf says what a client is shown.
func certificateOf(a *arrival) string {
	certs := a.listener.TLS.Site([]byte(a.host)).Certificates()
	if len(certs) == 0 {
		return "none: handshakes for " + a.host + " are refused"
	}
	leaf := certs[0].Leaf
	state := "valid until"
	if time.Now().After(leaf.NotAfter) {
		state = "EXPIRED"
	}
	covers := ""
	if leaf.VerifyHostname(a.host) != nil {
		covers = ", which is NOT for " + a.host
	}
	return fmt.Sprintf("common name %q, names %s, %s %s%s", leaf.Subject.CommonName, strings.Join(leaf.DNSNames, " "), state, leaf.NotAfter.UTC().Format(time.RFC3339), covers)
}

// addRoutes says which route takes the request and why the others don't, those first that came
// nearest.
func addRoutes(out *admin.Explanation, d *exchange.Dry, all bool) {
	near := func(v *route.Verdict[*snapshot.Route]) int { return len(v.Failed) }
	list := slices.Clone(d.Rules)
	slices.SortStableFunc(list, func(a, b route.Verdict[*snapshot.Route]) int {
		return cmp.Or(cmp.Compare(near(&a), near(&b)), cmp.Compare(b.Rule.Priority, a.Rule.Priority))
	})
	for i := range list {
		v := &list[i]
		switch {
		case v.Wins && d.Route != nil:
			out.Route, out.RouteWhy = d.Route.Name, conditionsOf(v.Rule)
		case !all && len(out.Others) == othersShown:
			out.MoreOthers++
		default:
			out.Others = append(out.Others, lost(v))
		}
	}
}

// lost says why a route doesn't take the request.
func lost(v *route.Verdict[*snapshot.Route]) admin.LostRoute {
	l := admin.LostRoute{Route: v.Value.Name, Priority: v.Rule.Priority, Matches: v.Matches, Why: []string{}}
	if v.Matches {
		l.Why = append(l.Why, "it matches, but the other one comes first: "+decisive(v.LostBy))
		return l
	}
	for _, f := range v.Failed {
		l.Why = append(l.Why, f.Part.String()+" isn't "+wanted(v.Rule, f))
	}
	return l
}

// decisive says what decided between two routes that match.
func decisive(by string) string {
	switch by {
	case "priority":
		return "its priority is higher"
	case "host":
		return "its host is more specific"
	case "path":
		return "its path is more specific"
	case "conditions":
		return "it has more conditions"
	}
	return "it stands first in the file"
}

// wanted is what a condition asks for.
func wanted(r *route.Rule[*snapshot.Route], f route.Failure) string {
	switch f.Part {
	case route.PartHost:
		return strings.Join(r.Hosts, " or ")
	case route.PartPath:
		return strings.Join(pathsOf(r), " or ")
	case route.PartMethod:
		return strings.Join(r.Methods, " or ")
	case route.PartField:
		return fieldOf(&r.Fields[f.Index])
	}
	p := &r.Params[f.Index]
	if p.Present {
		return p.Name + "=..."
	}
	return p.Name + "=" + p.Value
}

func fieldOf(f *route.FieldMatch) string {
	switch {
	case f.Regexp != nil:
		return f.Name + ": /" + f.Regexp.String() + "/"
	case f.Present:
		return f.Name + ": ..."
	}
	return f.Name + ": " + f.Value
}

func pathsOf(r *route.Rule[*snapshot.Route]) (list []string) {
	list = append(list, r.Exact...)
	for _, p := range r.Prefixes {
		list = append(list, strings.TrimSuffix(p, "/")+"/...")
	}
	for _, re := range r.Regexps {
		list = append(list, "/"+re.String()+"/")
	}
	return list
}

// conditionsOf says what a route asks for.
func conditionsOf(r *route.Rule[*snapshot.Route]) string {
	var parts []string
	add := func(what, text string) {
		if text != "" {
			parts = append(parts, what+" "+text)
		}
	}
	add("host", strings.Join(r.Hosts, " or "))
	add("path", strings.Join(pathsOf(r), " or "))
	add("method", strings.Join(r.Methods, " or "))
	for i := range r.Fields {
		add("header", fieldOf(&r.Fields[i]))
	}
	for i := range r.Params {
		add("query parameter", wanted(r, route.Failure{Part: route.PartParam, Index: i}))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("it takes everything; priority %d", r.Priority)
	}
	return fmt.Sprintf("%s; priority %d", strings.Join(parts, ", "), r.Priority)
}

// fail makes k what becomes of the request.
func fail(out *admin.Explanation, k fault.Kind) {
	out.Fault = k.String()
	out.Outcome = fmt.Sprintf("refused with %d: %s (sentinel why %s)", k.Status(), k.Error(), k.String())
}

// conclude says what becomes of the request.
func conclude(out *admin.Explanation, d *exchange.Dry) {
	if r := d.Route; r != nil {
		out.Does, out.Sent = doesOf(r), d.Sent
	}
	if d.Onward != nil {
		out.Onward = onwardOf(d)
	}
	for _, p := range out.Policies {
		if p.Answer == "refuse" {
			k, _ := fault.Parse(p.Fault)
			fail(out, k)
			return
		}
	}
	switch {
	case d.Health:
		out.Outcome = "answered by the proxy itself: /health"
	case d.Ready:
		out.Outcome = "answered by the proxy itself: /ready"
	case d.Reserved:
		out.Outcome = "taken as an answer to a challenge"
	case d.Preflight:
		out.Outcome = "answered by the proxy itself: a preflight"
	case d.Fault != fault.None:
		fail(out, d.Fault)
	case d.Onward != nil && d.Onward.Target == nil && d.Onward.Fallback == nil:
		fail(out, fault.NoTarget)
	case d.Onward != nil && d.Onward.Target == nil:
		out.Outcome = "no target takes requests: it goes to the fallback " + d.Onward.Fallback.Name
	case d.Onward != nil:
		out.Outcome = "sent to upstream " + d.Onward.Upstream.Name
	default:
		out.Outcome = "answered by the proxy itself: " + out.Does
	}
	if slices.ContainsFunc(out.Policies, func(p admin.PolicyAnswer) bool { return p.Answer == "ask" }) {
		out.Outcome += ", if the policies that ask who the client is let it on"
	}
}

func doesOf(r *snapshot.Route) string {
	switch {
	case r.Answer != nil:
		return fmt.Sprintf("responds %d", r.Answer.Status)
	case r.Redirect != nil:
		return fmt.Sprintf("redirects with %d", r.Redirect.Status())
	}
	return "forwards"
}
