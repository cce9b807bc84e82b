package route

import (
	"bytes"
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
)

// A Table keeps its rules by host, and those of one host by path:
//
//	exact hosts     map    name          -> site
//	wildcard hosts  map    .example.com  -> site
//	any host                                site
//
//	site   exact paths  map            -> entries
//	       prefixes     tree of segments, a list of entries at each node
//	       regexps      list of entries
//
// A rule has one entry for each pair of a host and a path that it names. Each entry
// has a rank which tells its whole place in the order of rules; lists are sorted by it.
// Match visits the few lists that the request's host and path lead to, and in each
// reads on only while an entry could still beat the best so far.

// Table finds the rule for a request. It never changes, so that any number of
// goroutines may use it. The time that Match takes does not grow with the number of
// rules, except that those with the same host and path, and all regular expressions of
// a host, are tried one after the other.
type Table[T any] struct {
	values    []T
	exact     map[string]*site
	wildcard  map[string]*site // by the name with its leading dot
	any       *site
	suffixMax int       // length of the longest key of wildcard
	rules     []Rule[T] // to explain them
}

// hostBytesMax bounds a host name in bytes (RFC 1035 section 2.3.4, with room for
// brackets); a longer one matches no condition on hosts.
const hostBytesMax = 255

// Build makes a Table of rules. Of several rules that match a request the one with the
// higher priority wins; then the more specific host (exact, longer wildcard, none);
// then the more specific path (exact, longer prefix, regular expression, none, where
// the prefix "/" is none as it matches every path); then the one with more conditions;
// then the one that stands first. Where a rule names several hosts or paths, the best
// of those that match counts. The rules are the table's from then on.
func Build[T any](rules []Rule[T]) *Table[T] {
	t := &Table[T]{
		values:   make([]T, len(rules)),
		exact:    map[string]*site{},
		wildcard: map[string]*site{},
		any:      newSite(),
		rules:    rules,
	}
	for i := range rules {
		t.values[i] = rules[i].Value
		t.insert(i, &rules[i])
	}
	t.any.sort()
	for _, s := range t.exact {
		s.sort()
	}
	for suffix, s := range t.wildcard {
		s.sort()
		t.suffixMax = max(t.suffixMax, len(suffix))
	}
	return t
}

func (t *Table[T]) insert(order int, r *Rule[T]) {
	c := &conditions{methods: r.Methods, params: r.Params}
	for _, f := range r.Fields {
		f.Name = strings.ToLower(f.Name)
		c.fields = append(c.fields, f)
	}
	e := entry{
		rank:       rank{priority: r.Priority, conditions: c.count(), order: order},
		conditions: c,
	}
	if len(r.Hosts) == 0 {
		insertPaths(t.any, r, e)
	}
	for _, host := range r.Hosts {
		var s *site
		s, e.rank.host = t.site(host)
		insertPaths(s, r, e)
	}
}

// site returns the site for a host of a rule, new if need be, and the rank of it.
func (t *Table[T]) site(host string) (s *site, rank int) {
	var buf [hostBytesMax]byte
	if host == "*" {
		return t.any, 0
	}
	sites, wildcard := t.exact, strings.HasPrefix(host, "*.")
	if wildcard {
		host, sites = host[1:], t.wildcard
	}
	// A name beyond the bound can match no request; its site is never found.
	if name, ok := hostName(&buf, []byte(host)); ok {
		host = string(name)
	}
	if sites[host] == nil {
		sites[host] = newSite()
	}
	if wildcard {
		return sites[host], len(host)
	}
	return sites[host], math.MaxInt
}

func insertPaths[T any](s *site, r *Rule[T], e entry) {
	if len(r.Exact)+len(r.Prefixes)+len(r.Regexps) == 0 {
		s.rest = append(s.rest, e)
	}
	for _, path := range r.Exact {
		e.rank.path = math.MaxInt
		path = canonicalOrSame(path)
		s.exact[path] = append(s.exact[path], e)
	}
	for _, prefix := range r.Prefixes {
		prefix = strings.TrimSuffix(prefix, "/")
		if prefix != "" && prefix[0] != '/' {
			prefix = "/" + prefix
		}
		prefix = canonicalOrSame(prefix)
		if e.rank.path = pathPrefix + len(prefix); prefix == "" {
			e.rank.path = pathNone
		}
		n := s.prefixes.at(prefix)
		n.entries = append(n.entries, e)
	}
	for _, re := range r.Regexps {
		e.rank.path = pathRegexp
		s.regexps = append(s.regexps, regexpEntry{e, re})
	}
}

// Match returns the value of the best rule that matches in; false if none does.
func (t *Table[T]) Match(in *Input) (T, bool) {
	best := t.best(in)
	if best == &noEntry {
		var none T
		return none, false
	}
	return t.values[best.rank.order], true
}

// best returns the entry that wins; noEntry if none matches.
func (t *Table[T]) best(in *Input) *entry {
	var buf [hostBytesMax]byte
	best := &noEntry
	if host, ok := hostName(&buf, in.Host); ok && len(host) > 0 {
		if s := t.exact[string(host)]; s != nil {
			best = s.match(in, best)
		}
		for i := max(1, len(host)-t.suffixMax); i < len(host); i++ {
			if host[i] != '.' {
				continue
			}
			if s := t.wildcard[string(host[i:])]; s != nil {
				best = s.match(in, best)
			}
		}
	}
	return t.any.match(in, best)
}

// AppendHost appends the one form in which hosts are compared: lower case, without port and
// final dot. What is too long for any name is appended as it is.
func AppendHost(dst, host []byte) []byte {
	var buf [hostBytesMax]byte
	if name, ok := hostName(&buf, host); ok {
		return append(dst, name...)
	}
	return append(dst, host...)
}

// hostName writes host in lower case, without port and final dot, to buf. ok is false
// when it is too long for any name.
func hostName(buf *[hostBytesMax]byte, host []byte) (name []byte, ok bool) {
	end := len(host)
	if colon := bytes.LastIndexByte(host, ':'); colon > bytes.LastIndexByte(host, ']') {
		end = colon
	}
	if end > 0 && host[end-1] == '.' {
		end--
	}
	if end > hostBytesMax {
		return nil, false
	}
	for i, c := range host[:end] {
		if c-'A' < 26 {
			c |= 0x20
		}
		buf[i] = c
	}
	return buf[:end], true
}

// rank is the place of an entry in the order of all entries of a table.
type rank struct {
	priority   int
	host       int // 0 none, length of a wildcard, MaxInt exact
	path       int // pathNone, pathRegexp, pathPrefix plus length, MaxInt exact
	conditions int
	order      int // index of the rule
}

const (
	pathNone = iota
	pathRegexp
	pathPrefix
)

// compare returns a negative number when a comes before b, that is, beats it.
func (a *rank) compare(b *rank) int {
	switch {
	case a.priority != b.priority:
		return cmp.Compare(b.priority, a.priority)
	case a.host != b.host:
		return cmp.Compare(b.host, a.host)
	case a.path != b.path:
		return cmp.Compare(b.path, a.path)
	case a.conditions != b.conditions:
		return cmp.Compare(b.conditions, a.conditions)
	}
	return cmp.Compare(a.order, b.order)
}

// entry is one way to reach a rule.
type entry struct {
	rank       rank
	conditions *conditions
}

// noEntry comes after every entry.
var noEntry = entry{rank: rank{priority: math.MinInt, host: -1}}

type regexpEntry struct {
	entry
	re *regexp.Regexp
}

// site holds the entries for one host.
type site struct {
	exact    map[string][]entry
	prefixes node
	regexps  []regexpEntry
	rest     []entry // no condition on the path
}

func newSite() *site { return &site{exact: map[string][]entry{}} }

func (s *site) sort() {
	for _, list := range s.exact {
		sortEntries(list)
	}
	s.prefixes.sort()
	slices.SortFunc(s.regexps, func(a, b regexpEntry) int { return a.rank.compare(&b.rank) })
	sortEntries(s.rest)
}

func sortEntries(list []entry) {
	slices.SortFunc(list, func(a, b entry) int { return a.rank.compare(&b.rank) })
}

// match returns the best entry for in, or best if that comes first.
func (s *site) match(in *Input, best *entry) *entry {
	if len(s.exact) > 0 {
		best = first(s.exact[string(in.Path)], in, best)
	}
	best = s.prefixes.match(in, best)
	best = first(s.rest, in, best)
	for i := range s.regexps {
		e := &s.regexps[i]
		if e.rank.compare(&best.rank) >= 0 {
			break
		}
		if e.conditions.hold(in) && e.re.Match(in.Path) {
			return &e.entry
		}
	}
	return best
}

// first returns the first entry of list whose conditions hold, or best if that comes
// before it.
func first(list []entry, in *Input, best *entry) *entry {
	for i := range list {
		e := &list[i]
		if e.rank.compare(&best.rank) >= 0 {
			break
		}
		if e.conditions.hold(in) {
			return e
		}
	}
	return best
}

// node is a prefix in the tree of path segments.
type node struct {
	children map[string]*node // by segment
	entries  []entry
}

// at returns the node of a prefix that is empty or starts with a slash, new if need be.
func (n *node) at(prefix string) *node {
	for prefix != "" {
		segment, rest := prefix[1:], ""
		if i := strings.IndexByte(segment, '/'); i >= 0 {
			segment, rest = segment[:i], segment[i:]
		}
		if n.children == nil {
			n.children = map[string]*node{}
		}
		if n.children[segment] == nil {
			n.children[segment] = &node{}
		}
		n, prefix = n.children[segment], rest
	}
	return n
}

func (n *node) sort() {
	sortEntries(n.entries)
	for _, child := range n.children {
		child.sort()
	}
}

// match walks down the segments of the path as far as the tree has them.
func (n *node) match(in *Input, best *entry) *entry {
	path := in.Path
	if len(path) == 0 || path[0] != '/' {
		return best
	}
	for {
		best = first(n.entries, in, best)
		if len(path) == 0 || len(n.children) == 0 {
			return best
		}
		segment := path[1:]
		path = nil
		if i := bytes.IndexByte(segment, '/'); i >= 0 {
			segment, path = segment[:i], segment[i:]
		}
		if n = n.children[string(segment)]; n == nil {
			return best
		}
	}
}
