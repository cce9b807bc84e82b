package explain

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/exchange"
	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/h1"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/snapshot"
)

// Explainer explains requests by what a proxy serves.
type Explainer struct {
	Proxy *exchange.Proxy
	// Ports returns the ports where the listener in a slot takes connections.
	Ports func(slot int) []uint16
	// Offline says that nothing runs, so that no state is known.
	Offline bool
}

// arrival is a request as it would come.
type arrival struct {
	listener *snapshot.Listener
	slot     int
	why      string // this listener
	request  *message.Request
	refused  error  // by the engine; a fault
	host     string // of the URL, without its port
}

// arrive parses q as the engine of its listener would.
func (e *Explainer) arrive(q *admin.ExplainRequest) (*arrival, error) {
	u, err := url.Parse(q.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no URL with http or https and a host, such as https://example.com/path", q.URL)
	}
	client := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if q.Client != "" {
		if client, err = netip.ParseAddr(q.Client); err != nil {
			return nil, fmt.Errorf("client %q is no address", q.Client)
		}
	}
	s := e.Proxy.Current()
	if s == nil {
		return nil, fmt.Errorf("no configuration serves yet")
	}
	a := &arrival{host: strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))}
	if err := e.choose(a, s, u, q.Listener); err != nil {
		return nil, err
	}
	head, err := headOf(q, u)
	if err != nil {
		return nil, err
	}
	c := e.Proxy.Describe(netip.AddrPortFrom(client, 0))
	c.Listener = a.slot
	if a.listener.TLS != nil {
		c.Secure = true
		c.TLS = &message.TLS{ServerName: a.host, Policy: a.listener.TLS.Site([]byte(a.host)).Policy()}
	}
	a.request = &message.Request{Client: c, Content: empty{}}
	incomplete := false
	a.request.Head, incomplete, a.refused = h1.ParseHead(head, &a.listener.H1)
	if incomplete && a.refused == nil {
		a.refused = fault.BadRequest
	}
	return a, nil
}

// choose finds the listener: the one that is named, or the one that speaks the scheme at the
// port of the URL, or one that speaks the scheme.
func (e *Explainer) choose(a *arrival, s *snapshot.Snapshot, u *url.URL, name string) error {
	port := portOf(u)
	var names []string
	best := -1
	for slot, l := range s.Listeners {
		if l == nil || l.Streams != nil {
			continue
		}
		names = append(names, l.Name)
		rank := 0
		switch speaks := (l.TLS != nil) == (u.Scheme == "https"); {
		case name != "" && l.Name == name:
			rank, a.why = 3, "it was named"
		case name != "" || !speaks:
			continue
		case slices.Contains(e.Ports(slot), port):
			rank = 2
		default:
			rank = 1
		}
		if rank > best {
			best, a.listener, a.slot = rank, l, slot
		}
	}
	switch best {
	case 3:
	case 2:
		a.why = fmt.Sprintf("it speaks %s at port %d", u.Scheme, port)
	case 1:
		a.why = fmt.Sprintf("it speaks %s; none does at port %d (--listener names another one)", u.Scheme, port)
	default:
		if name != "" {
			return fmt.Errorf("there is no listener %q for requests: there are %s", name, strings.Join(names, ", "))
		}
		return fmt.Errorf("no listener speaks %s: there are %s; --listener names one", u.Scheme, strings.Join(names, ", "))
	}
	return nil
}

func portOf(u *url.URL) uint16 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// headOf writes the head of a request as a client would.
func headOf(q *admin.ExplainRequest, u *url.URL) ([]byte, error) {
	target := u.EscapedPath()
	if target == "" {
		target = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		target += "?" + u.RawQuery
	}
	b := []byte(q.Method + " " + target + " HTTP/1.1\r\n")
	host := false
	for _, f := range q.Fields {
		name, value, ok := strings.Cut(f, ":")
		if !ok || strings.ContainsAny(f, "\r\n") {
			return nil, fmt.Errorf("header %q isn't one line of a name, a colon and a value", f)
		}
		host = host || strings.EqualFold(name, "host")
		b = append(b, strings.TrimSpace(name)+": "+strings.TrimSpace(value)+"\r\n"...)
	}
	if !host {
		b = append(b, "Host: "+u.Host+"\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

// empty is content that nobody sends.
type empty struct{}

// Whole implements message.Content.
func (empty) Whole() ([]byte, bool) { return nil, true }

// Read implements message.Content.
func (empty) Read([]byte) (int, error) { return 0, fault.ContentTruncated }

// Started implements message.Content.
func (empty) Started() bool { return false }
