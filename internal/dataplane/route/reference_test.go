package route

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reference is the Table written as plainly as its documentation: it looks at every
// rule and keeps the best.
func reference(rules []Rule[int], in *Input) (value int, ok bool) {
	best := []int{}
	for _, r := range rules {
		rank := referenceRank(&r, in)
		if rank == nil || ok && !greater(rank, best) {
			continue
		}
		best, value, ok = rank, r.Value, true
	}
	return value, ok
}

func greater(a, b []int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}

// referenceRank returns nil when r does not match in.
func referenceRank(r *Rule[int], in *Input) []int {
	host := best(r.Hosts, func(h string) int { return referenceHost(h, string(in.Host)) })
	path := max(
		best(r.Exact, func(p string) int { return yes(p == string(in.Path), 1<<20) }),
		best(r.Prefixes, func(p string) int { return referencePrefix(p, string(in.Path)) }),
		best(r.Regexps, func(re *regexp.Regexp) int { return yes(re.Match(in.Path), 1) }),
	)
	if len(r.Exact)+len(r.Prefixes)+len(r.Regexps) == 0 {
		path = 0
	}
	if len(r.Hosts) == 0 {
		host = 0
	}
	method := best(r.Methods, func(m string) int { return yes(m == string(in.Method), 1) })
	if len(r.Methods) == 0 {
		method = 0
	}
	if host < 0 || path < 0 || method < 0 {
		return nil
	}
	for _, f := range r.Fields {
		found := false
		for i := range in.Head.Fields {
			same := strings.EqualFold(string(in.Head.FieldName(i)), f.Name)
			found = found || same && (f.Present || string(in.Head.FieldValue(i)) == f.Value)
		}
		if !found {
			return nil
		}
	}
	for _, p := range r.Params {
		found := false
		for pair := range strings.SplitSeq(string(in.Query), "&") {
			name, value, _ := strings.Cut(pair, "=")
			found = found || name == p.Name && (p.Present || value == p.Value)
		}
		if !found {
			return nil
		}
	}
	conditions := len(r.Fields) + len(r.Params)
	if len(r.Methods) > 0 {
		conditions++
	}
	return []int{r.Priority, host, path, conditions}
}

// best returns the highest rank that f gives, -1 if it gives none.
func best[E any](list []E, f func(E) int) int {
	rank := -1
	for _, e := range list {
		rank = max(rank, f(e))
	}
	return rank
}

func yes(b bool, rank int) int {
	if b {
		return rank
	}
	return -1
}

func referenceHost(pattern, host string) int {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	host = strings.TrimSuffix(host, ".")
	pattern = strings.TrimSuffix(strings.ToLower(pattern), ".")
	switch suffix, wildcard := strings.CutPrefix(pattern, "*"); {
	case pattern == "*":
		return 0
	case wildcard:
		return yes(len(host) > len(suffix) && strings.HasSuffix(host, suffix), len(suffix))
	}
	return yes(host == pattern, 1<<20)
}

func referencePrefix(prefix, path string) int {
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return 0
	}
	return yes(path == prefix || strings.HasPrefix(path, prefix+"/"), 2+len(prefix))
}

func TestMatchAgreesWithReference(t *testing.T) {
	hosts := rapid.SampledFrom([]string{"a.x", "A.X.", "b.a.x", "x", "*.x", "*.a.x", "*.B.a.x", "*", "y"})
	paths := rapid.SampledFrom([]string{"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/a//b", "//", "/b"})
	regexps := rapid.SampledFrom([]*regexp.Regexp{
		regexp.MustCompile("b$"), regexp.MustCompile("^/a"), regexp.MustCompile("/{2}"),
	})
	names := rapid.SampledFrom([]string{"p", "q"})
	values := rapid.SampledFrom([]string{"", "1", "2"})
	rules := rapid.Custom(func(t *rapid.T) Rule[int] {
		r := Rule[int]{
			Priority: rapid.IntRange(-1, 1).Draw(t, "priority"),
			Hosts:    rapid.SliceOfN(hosts, 0, 2).Draw(t, "hosts"),
			Exact:    rapid.SliceOfN(paths, 0, 1).Draw(t, "exact"),
			Prefixes: rapid.SliceOfN(paths, 0, 2).Draw(t, "prefixes"),
			Regexps:  rapid.SliceOfN(regexps, 0, 1).Draw(t, "regexps"),
			Methods:  rapid.SliceOfN(rapid.SampledFrom([]string{"GET", "PUT"}), 0, 1).Draw(t, "methods"),
		}
		if rapid.Bool().Draw(t, "field") {
			r.Fields = []FieldMatch{{Name: names.Draw(t, "name"), Value: values.Draw(t, "value"), Present: rapid.Bool().Draw(t, "present")}}
		}
		if rapid.Bool().Draw(t, "param") {
			r.Params = []ParamMatch{{Name: names.Draw(t, "name"), Value: values.Draw(t, "value"), Present: rapid.Bool().Draw(t, "present")}}
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rules, 0, 12).Draw(t, "rules")
		for i := range list {
			list[i].Value = i + 1
		}
		table := Build(list)
		for range 8 {
			in := &Input{
				Host:   []byte(rapid.SampledFrom([]string{"a.x", "A.x:80", "b.a.x.", "c.b.a.x", "x", "y", "z", ""}).Draw(t, "host")),
				Path:   []byte(rapid.OneOf(paths, rapid.StringMatching(`(/[ab]{0,2}){1,4}`)).Draw(t, "path")),
				Method: []byte(rapid.SampledFrom([]string{"GET", "PUT", "HEAD"}).Draw(t, "method")),
				Query:  []byte(rapid.SampledFrom([]string{"", "p", "p=1", "p=2&q=1", "q=2&q=1"}).Draw(t, "query")),
				Head:   headOf([2]string{"P", values.Draw(t, "p")}, [2]string{"q", values.Draw(t, "q")}),
			}
			got, ok := table.Match(in)
			want, wantOK := reference(list, in)
			if got != want || ok != wantOK {
				t.Fatalf("Match(host %q, path %q) = %d, %v, want %d, %v", in.Host, in.Path, got, ok, want, wantOK)
			}
			checkExplained(t, table, list, in, got)
		}
	})
}

// checkExplained checks that an explanation says what happens: one rule wins, which is the one
// that Match finds; those that the reference lets match match; those that don't have failed in
// something, and without what they have failed in they match; those that lost have a reason.
func checkExplained(t *rapid.T, table *Table[int], list []Rule[int], in *Input, won int) {
	for i, v := range table.Explain(in) {
		matches := referenceRank(&list[i], in) != nil
		if v.Matches != matches || v.Wins != (v.Value == won) || v.Value != i+1 {
			t.Fatalf("Explain(host %q, path %q) says of rule %d %+v, want that it matches: %v, and that %d won", in.Host, in.Path, i+1, v, matches, won)
		}
		if (len(v.Failed) > 0) == matches || (v.LostBy != "") != (matches && !v.Wins) {
			t.Fatalf("Explain(host %q, path %q) of rule %d = %+v: no reason for what it says", in.Host, in.Path, i+1, v)
		}
		without := list[i]
		for _, f := range v.Failed {
			switch f.Part {
			case PartHost:
				without.Hosts = nil
			case PartPath:
				without.Exact, without.Prefixes, without.Regexps = nil, nil, nil
			case PartMethod:
				without.Methods = nil
			case PartField:
				without.Fields = nil
			case PartParam:
				without.Params = nil
			}
		}
		if referenceRank(&without, in) == nil {
			t.Fatalf("Explain(host %q, path %q) of rule %d = %+v, and without these it doesn't match either", in.Host, in.Path, i+1, v.Failed)
		}
		if v.LostBy != "" {
			checkLost(t, referenceRank(&list[won-1], in), referenceRank(&list[i], in), v.LostBy)
		}
	}
}

// checkLost checks the reason by which a rule lost to another one.
func checkLost(t *rapid.T, winner, loser []int, by string) {
	for i, name := range []string{"priority", "host", "path", "conditions"} {
		if winner[i] != loser[i] {
			if by != name {
				t.Fatalf("%v lost to %v by %q, want %q", loser, winner, by, name)
			}
			return
		}
	}
	if by != "order" {
		t.Fatalf("%v lost to %v by %q, want the order", loser, winner, by)
	}
}
