package resolve

import (
	"cmp"
	"log/slog"
	"time"
)

// Kind is how the targets of a Source are found.
type Kind uint8

// The kinds of sources.
const (
	// Literal is an address: "192.0.2.1:80" or "[2001:db8::1]:80". Nothing is asked.
	Literal Kind = iota
	// Name is "host:port"; the host has A and AAAA records, or is in the hosts file.
	Name
	// Service is the name of SRV records: "_http._tcp.example".
	Service
	// File is the path of a file with one target a line: host:port [weight=N].
	File
)

// String returns the kind in lower case.
func (k Kind) String() string {
	return [...]string{"literal", "name", "service", "file"}[min(k, File)]
}

// Source is one thing in a configuration that stands for targets of an upstream.
type Source struct {
	Upstream string
	Kind     Kind
	Value    string
	// Weight is that of each address of a Literal or Name. Services and files bring their
	// own.
	Weight int
}

func compareSources(a, b Source) int {
	return cmp.Or(cmp.Compare(a.Upstream, b.Upstream), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Value, b.Value), cmp.Compare(a.Weight, b.Weight))
}

// Endpoint is one address behind a target.
type Endpoint struct {
	// Address is what to dial: "ip:port". It is unique within a source.
	Address string
	// Name is what to show: "host:port" as configured, as in the file, or of the SRV
	// record. All addresses of a name share it.
	Name string
	// Weight is 0 (takes nothing) or more; that of an SRV record is at least 1.
	Weight int
}

// Update is the news about a source.
type Update struct {
	Source Source
	// Endpoints is the whole set, sorted by address. It is nil when nothing was ever
	// found or what was found is older than Options.StaleMax.
	Endpoints []Endpoint
	// Err is why a part of the source, or all of it, can't be looked up now; nil when
	// all is well.
	Err error
	// Stale says that Endpoints holds answers that outlived their TTL, or an older state
	// of a file, because of Err.
	Stale bool
}

// Result is the state of a source, for status.
type Result struct {
	Update
	// TTL is how long the first of the answers has to live. 0 means that it has ended, or
	// that nothing was asked.
	TTL time.Duration
	// Since is when Err first came up; zero without Err.
	Since time.Time
	// Server is the "ip:port" that gave the answer; "hosts" for the hosts file,
	// "localhost" for loopback names. Empty when nothing was asked.
	Server string
}

// Options are what a Resolver works with. The zero value asks the servers of
// /etc/resolv.conf.
type Options struct {
	// Servers are "ip:port" and asked in order. Empty: the nameservers of ResolvConf,
	// which is read again when it changes; without one, 127.0.0.1:53.
	Servers []string
	// TTLMin and TTLMax bound how long an answer is used before it is asked for again:
	// 5 s (never below 1 s) and 300 s when 0.
	TTLMin, TTLMax time.Duration
	// Timeout is what one server has for one answer; 2 s when 0.
	Timeout time.Duration
	// StaleMax is how long after the first failure an answer is still used; 0 means for
	// ever. It holds for names and services, not for files.
	StaleMax time.Duration
	// Changed is called when the endpoints of a source change, with its first answer or
	// first failure, when it begins to fail and when it recovers; not for literals. One
	// call at a time, from a goroutine of the Resolver, which holds no lock then. It must
	// not call Close. Changes that come while it runs are told as one.
	Changed func(Update)
	// Log gets failures, recoveries and changes; nil: nothing.
	Log *slog.Logger
	// HostsFile and ResolvConf are "/etc/hosts" and "/etc/resolv.conf" when empty.
	HostsFile, ResolvConf string

	net exchanger // what tests put in the place of the network
}

func (o Options) withDefaults() Options {
	o.TTLMin = max(cmp.Or(o.TTLMin, ttlMinDefault), ttlMinFloor)
	o.TTLMax = max(cmp.Or(o.TTLMax, ttlMaxDefault), o.TTLMin)
	o.Timeout = cmp.Or(o.Timeout, timeoutDefault)
	o.HostsFile = cmp.Or(o.HostsFile, "/etc/hosts")
	o.ResolvConf = cmp.Or(o.ResolvConf, "/etc/resolv.conf")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(Update) {}
	}
	if o.net == nil {
		o.net = wire{}
	}
	return o
}
