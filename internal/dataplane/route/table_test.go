package route

import (
	"fmt"
	"regexp"
	"testing"

	"sentinel/internal/dataplane/message"
)

// headOf makes a request head with the given field lines.
func headOf(lines ...[2]string) *message.Head {
	h := &message.Head{}
	for _, l := range lines {
		start := uint16(len(h.Buf))
		name := message.Span{Start: start, End: start + uint16(len(l[0]))}
		value := message.Span{Start: name.End + 2, End: name.End + 2 + uint16(len(l[1]))}
		h.Buf = append(h.Buf, l[0]+": "+l[1]+"\r\n"...)
		h.Fields = append(h.Fields, message.Field{
			Name: name, Value: value, LineEnd: uint16(len(h.Buf)), ID: message.Classify([]byte(l[0])),
		})
	}
	return h
}

func TestMatchOneRule(t *testing.T) {
	type R = Rule[string]
	x := regexp.MustCompile
	tests := []struct {
		rule R
		in   Input
		want bool
	}{
		{R{}, Input{}, true},
		{R{}, Input{Path: []byte("*")}, true},
		{R{Prefixes: []string{"/"}}, Input{Path: []byte("*")}, false},
		{R{Prefixes: []string{"/"}}, Input{Path: []byte("/x")}, true},
		{R{Prefixes: []string{"/api"}}, Input{Path: []byte("/api")}, true},
		{R{Prefixes: []string{"/api"}}, Input{Path: []byte("/api/x/y")}, true},
		{R{Prefixes: []string{"/api"}}, Input{Path: []byte("/apix")}, false},
		{R{Prefixes: []string{"/api/"}}, Input{Path: []byte("/api")}, true},
		{R{Prefixes: []string{"/api/"}}, Input{Path: []byte("/api/")}, true},
		{R{Prefixes: []string{"/a/b"}}, Input{Path: []byte("/a")}, false},
		{R{Prefixes: []string{"/a//b"}}, Input{Path: []byte("/a//b/c")}, true},
		{R{Exact: []string{"/api"}}, Input{Path: []byte("/api")}, true},
		{R{Exact: []string{"/api"}}, Input{Path: []byte("/api/")}, false},
		{R{Regexps: []*regexp.Regexp{x(`\.png$`)}}, Input{Path: []byte("/a.png")}, true},
		{R{Regexps: []*regexp.Regexp{x(`\.png$`)}}, Input{Path: []byte("/a.jpg")}, false},
		{R{Exact: []string{"/e"}, Prefixes: []string{"/p"}}, Input{Path: []byte("/p/q")}, true},
		{R{Hosts: []string{"A.example"}}, Input{Host: []byte("a.EXAMPLE.:8080")}, true},
		{R{Hosts: []string{"a.example."}}, Input{Host: []byte("a.example")}, true},
		{R{Hosts: []string{"a.example"}}, Input{Host: []byte("b.a.example")}, false},
		{R{Hosts: []string{"a.example"}}, Input{}, false},
		{R{Hosts: []string{"*"}}, Input{}, true},
		{R{Hosts: []string{"*.example"}}, Input{Host: []byte("a.example")}, true},
		{R{Hosts: []string{"*.example"}}, Input{Host: []byte("b.a.Example:1")}, true},
		{R{Hosts: []string{"*.example"}}, Input{Host: []byte("example")}, false},
		{R{Hosts: []string{"*.example"}}, Input{Host: []byte(".example")}, false},
		{R{Hosts: []string{"*.example"}}, Input{Host: []byte("aexample")}, false},
		{R{Hosts: []string{"[::1]"}}, Input{Host: []byte("[::1]:443")}, true},
		{R{Hosts: []string{"[::1]"}}, Input{Host: []byte("[::1]")}, true},
		{R{Hosts: []string{"x"}}, Input{Host: make([]byte, 300)}, false},
		{R{Methods: []string{"GET", "POST"}}, Input{Method: []byte("POST")}, true},
		{R{Methods: []string{"GET"}}, Input{Method: []byte("get")}, false},
		{R{Params: []ParamMatch{{Name: "a", Value: "1"}}}, Input{Query: []byte("b=2&a=1")}, true},
		{R{Params: []ParamMatch{{Name: "a", Value: "1"}}}, Input{Query: []byte("a=2&a=1")}, true},
		{R{Params: []ParamMatch{{Name: "a", Value: "1"}}}, Input{Query: []byte("a=12")}, false},
		{R{Params: []ParamMatch{{Name: "a", Value: "x y"}}}, Input{Query: []byte("%61=x+%79")}, true},
		{R{Params: []ParamMatch{{Name: "a", Value: "x y"}}}, Input{Query: []byte("a=x%2By")}, false},
		{R{Params: []ParamMatch{{Name: "a", Value: "x y"}}}, Input{Query: []byte("a=x%20%79")}, true},
		{R{Params: []ParamMatch{{Name: "a", Value: "%zz"}}}, Input{Query: []byte("a=%zz")}, true},
		{R{Params: []ParamMatch{{Name: "a", Present: true}}}, Input{Query: []byte("a")}, true},
		{R{Params: []ParamMatch{{Name: "a"}}}, Input{Query: []byte("&a&")}, true},
		{R{Params: []ParamMatch{{Name: "a", Present: true}, {Name: "b"}}}, Input{Query: []byte("a=1")}, false},
		{R{Fields: []FieldMatch{{Name: "X-A", Value: "1"}}}, Input{}, false},
		{R{Fields: []FieldMatch{{Name: "X-A", Value: "1"}}}, Input{Head: headOf([2]string{"x-a", "1"})}, true},
		{R{Fields: []FieldMatch{{Name: "X-A", Value: "1"}}}, Input{Head: headOf([2]string{"x-a", "2"}, [2]string{"X-A", "1"})}, true},
		{R{Fields: []FieldMatch{{Name: "X-A", Value: "1"}}}, Input{Head: headOf([2]string{"x-a", "11"})}, false},
		{R{Fields: []FieldMatch{{Name: "X-A", Present: true}}}, Input{Head: headOf([2]string{"x-a", ""})}, true},
		{R{Fields: []FieldMatch{{Name: "X-A", Regexp: x("^v[12]$")}}}, Input{Head: headOf([2]string{"x-a", "v2"})}, true},
		{R{Fields: []FieldMatch{{Name: "X-A", Regexp: x("^v[12]$"), Present: true}}}, Input{Head: headOf([2]string{"x-a", "v3"})}, false},
	}
	for _, tt := range tests {
		tt.rule.Value = "it"
		got, ok := Build([]R{tt.rule}).Match(&tt.in)
		if ok != tt.want || ok && got != "it" {
			t.Errorf("rule %+v: Match(host %q, path %q, query %q) = %q, %v, want %v",
				tt.rule, tt.in.Host, tt.in.Path, tt.in.Query, got, ok, tt.want)
		}
	}
}

func TestMatchSkipsDroppedFields(t *testing.T) {
	h := headOf([2]string{"x-a", "1"})
	h.Fields[0].Dropped = true
	table := Build([]Rule[int]{{Fields: []FieldMatch{{Name: "x-a", Present: true}}}})
	if _, ok := table.Match(&Input{Head: h}); ok {
		t.Error("Match with a dropped field = true, want false")
	}
}

func TestMatchOrder(t *testing.T) {
	type R = Rule[string]
	tests := []struct {
		name  string
		rules []R // the one with Value "win" must win
	}{
		{"priority over host", []R{{Hosts: []string{"a.b.c"}}, {Value: "win", Priority: 1}}},
		{"negative priority", []R{{Priority: -1, Hosts: []string{"a.b.c"}}, {Value: "win"}}},
		{"host over path", []R{{Exact: []string{"/x/y"}}, {Value: "win", Hosts: []string{"*.c"}}}},
		{"exact host", []R{{Hosts: []string{"*.b.c"}}, {Value: "win", Hosts: []string{"a.b.c"}}}},
		{"longer wildcard", []R{{Hosts: []string{"*.c"}}, {Value: "win", Hosts: []string{"*.b.c"}}}},
		{"wildcard over none", []R{{}, {Value: "win", Hosts: []string{"*.c"}}}},
		{"exact path", []R{{Prefixes: []string{"/x/y"}}, {Value: "win", Exact: []string{"/x/y"}}}},
		{"longer prefix", []R{{Prefixes: []string{"/x"}}, {Value: "win", Prefixes: []string{"/x/y"}}}},
		{"prefix over regexp", []R{{Regexps: []*regexp.Regexp{regexp.MustCompile("x")}}, {Value: "win", Prefixes: []string{"/x"}}}},
		{"regexp over none", []R{{}, {Value: "win", Regexps: []*regexp.Regexp{regexp.MustCompile("x")}}}},
		{"regexp over root prefix", []R{{Prefixes: []string{"/"}}, {Value: "win", Regexps: []*regexp.Regexp{regexp.MustCompile("x")}}}},
		{"more conditions", []R{{}, {Value: "win", Methods: []string{"GET"}}}},
		{"first of equals", []R{{Value: "win", Prefixes: []string{"/x"}}, {Prefixes: []string{"/x/"}}}},
		{"best of several", []R{{Prefixes: []string{"/x"}}, {Value: "win", Prefixes: []string{"/", "/x/y"}}}},
	}
	in := Input{Host: []byte("a.b.c"), Path: []byte("/x/y"), Method: []byte("GET")}
	for _, tt := range tests {
		if got, ok := Build(tt.rules).Match(&in); !ok || got != "win" {
			t.Errorf("%s: Match = %q, %v, want %q", tt.name, got, ok, "win")
		}
	}
}

// manyRules makes n rules over n/10 hosts and as many without host.
func manyRules(n int) []Rule[int] {
	rules := make([]Rule[int], n)
	for i := range rules {
		rules[i] = Rule[int]{Value: i, Prefixes: []string{fmt.Sprintf("/service-%d/v1", i)}}
		if i%2 == 0 {
			rules[i].Hosts = []string{fmt.Sprintf("host-%d.example.com", i/20)}
		}
		if i%3 == 0 {
			rules[i].Methods = []string{"GET"}
		}
	}
	return rules
}

func manyInput(n int) (in Input, want int) {
	want = n / 2 / 20 * 20
	return Input{
		Host:   fmt.Appendf(nil, "HOST-%d.example.com:8080", want/20),
		Path:   fmt.Appendf(nil, "/service-%d/v1/things/7", want),
		Method: []byte("GET"),
	}, want
}

func TestMatchAllocatesNothing(t *testing.T) {
	rules := append(manyRules(1000), Rule[int]{
		Priority: 1, Value: -1,
		Regexps: []*regexp.Regexp{regexp.MustCompile(`^/service-\d+/v1/other$`)},
		Params:  []ParamMatch{{Name: "a", Value: "b"}},
		Fields:  []FieldMatch{{Name: "X-A", Value: "b"}},
	})
	table := Build(rules)
	in, want := manyInput(1000)
	in.Query, in.Head = []byte("x=y&a=b"), headOf([2]string{"x-a", "b"})
	if n := testing.AllocsPerRun(100, func() {
		if got, ok := table.Match(&in); !ok || got != want {
			t.Fatalf("Match = %d, %v, want %d", got, ok, want)
		}
	}); n != 0 {
		t.Errorf("Match allocates %v times, want 0", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		table := Build(manyRules(n))
		in, want := manyInput(n)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, _ := table.Match(&in); got != want {
					b.Fatalf("Match = %d, want %d", got, want)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	rules := manyRules(10000)
	for b.Loop() {
		Build(rules)
	}
}

func BenchmarkCanonicalise(b *testing.B) {
	p := DefaultPathPolicy()
	dst := make([]byte, 0, 128)
	for _, path := range []string{"/api/v1/things/12345", "/api/./v1//things/%41"} {
		b.Run(path, func(b *testing.B) {
			in := []byte(path)
			for b.Loop() {
				_, _ = Canonicalise(dst, in, &p)
			}
		})
	}
}
