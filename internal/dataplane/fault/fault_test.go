package fault

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"regexp"
	"strings"
	"testing"
)

// TestRows checks that the table is complete, unique and within its bounds.
func TestRows(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)*$`)
	text := regexp.MustCompile(`^[a-z][a-z0-9 -]{3,59}$`)
	code := regexp.MustCompile(`^[CUS][0-9]{2}$`)
	seen := map[string]Kind{}
	once := func(k Kind, what, s string) {
		if other, twice := seen[what+s]; twice {
			t.Errorf("%v and %v share the %s %q", k, other, what, s)
		}
		seen[what+s] = k
	}
	for k := range All() {
		r := k.Row()
		once(k, "name", r.Name)
		once(k, "label", r.Label)
		once(k, "code", r.Code)
		once(k, "text", r.Text)
		if !label.MatchString(r.Label) || snake(r.Name) != r.Label {
			t.Errorf("%s: label %q, want %q", r.Name, r.Label, snake(r.Name))
		}
		if !text.MatchString(r.Text) || strings.Contains(r.Text, "error") {
			t.Errorf("%s: text %q doesn't match %v or holds the word error", r.Name, r.Text, text)
		}
		if !code.MatchString(r.Code) || r.Code[0] != r.Side.String()[0]-'a'+'A' {
			t.Errorf("%s: code %q doesn't fit side %v", r.Name, r.Code, r.Side)
		}
		if r.Meaning == "" || len(r.Causes) == 0 || r.Remedy == "" || len(r.Commands) == 0 {
			t.Errorf("%s: meaning, causes, remedy or commands missing", r.Name)
		}
		for _, s := range append([]string{r.Meaning, r.Remedy}, r.Causes...) {
			if s == "" || len(s) > 200 || strings.ContainsAny(s, "\n|") {
				t.Errorf("%s: %q is empty, too long or unfit for a table", r.Name, s)
			}
		}
		if !strings.HasSuffix(r.Meaning, ".") || !strings.HasSuffix(r.Remedy, ".") {
			t.Errorf("%s: meaning and remedy are sentences", r.Name)
		}
	}
}

// TestStatus checks what ties status, side and the other columns together.
func TestStatus(t *testing.T) {
	for k := range All() {
		r := k.Row()
		switch {
		case r.Side == SideClient && r.Status/100 != 4 && r.Status != 501 && r.Status != 505:
			t.Errorf("%v: status %d is no client's", k, r.Status)
		case r.Side == SideUpstream && (r.Status < 502 || r.Status > 504):
			t.Errorf("%v: status %d is no gateway's", k, r.Status)
		case r.Side == SideSelf && r.Status != 500 && r.Status != 503:
			t.Errorf("%v: status %d is not ours", k, r.Status)
		}
		if r.Status == 500 && k != Internal {
			t.Errorf("%v: 500 is only for %v", k, Internal)
		}
		if want := r.Status == 503 || r.Status == 429; (r.RetryAfter > 0) != want {
			t.Errorf("%v: RetryAfter = %d with status %d", k, r.RetryAfter, r.Status)
		}
		if r.Unsent && r.Side == SideClient {
			t.Errorf("%v: another target can't help a client", k)
		}
		if Title(r.Status) == "Error" {
			t.Errorf("%v: status %d has no title", k, r.Status)
		}
	}
	if Kind(250).Row() != Internal.Row() {
		t.Errorf("Kind(250).Row() isn't Internal's")
	}
}

// TestNames checks that Row.Name is the name of the constant.
func TestNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "kinds.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, spec := range file.Decls[0].(*ast.GenDecl).Specs {
		names = append(names, spec.(*ast.ValueSpec).Names[0].Name)
	}
	if got, want := len(names), int(Count)+1; got != want {
		t.Fatalf("%d constants, want %d", got, want)
	}
	for i, name := range names[:Count] {
		if got := Kind(i).Row().Name; got != name {
			t.Errorf("Kind(%d).Row().Name = %q, want %q", i, got, name)
		}
	}
}

func snake(name string) string {
	name = strings.ReplaceAll(name, "TLS", "Tls")
	var b strings.Builder
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for k := range All() {
		r := k.Row()
		for _, s := range []string{r.Name, r.Label, r.Code} {
			if got, ok := Parse(s); got != k || !ok {
				t.Errorf("Parse(%q) = %v, %v, want %v", s, got, ok, k)
			}
		}
	}
	for _, s := range []string{"", "none", "-", "u1", "upstream refused"} {
		if got, ok := Parse(s); ok {
			t.Errorf("Parse(%q) = %v, want nothing", s, got)
		}
	}
}

func TestOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Kind
	}{
		{nil, None},
		{UpstreamRefused, UpstreamRefused},
		{UpstreamReset.With(io.EOF), UpstreamReset},
		{UpstreamReset.With(nil), UpstreamReset},
		{errors.Join(io.EOF, NoRoute), NoRoute},
		{errors.Join(io.EOF, Draining.With(io.EOF)), Draining},
		{io.EOF, Internal},
	} {
		if got := Of(test.err); got != test.want {
			t.Errorf("Of(%v) = %v, want %v", test.err, got, test.want)
		}
	}
	err := UpstreamReset.With(io.EOF)
	if !errors.Is(err, io.EOF) || !errors.Is(err, UpstreamReset) || errors.Is(err, NoRoute) {
		t.Errorf("errors.Is(%v, ...) doesn't see both kind and cause", err)
	}
	if got, want := err.Error(), "upstream reset before the response: EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestAllocations(t *testing.T) {
	var kind Kind
	body := make([]byte, 0, 1024)
	accept := []byte("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	got := testing.AllocsPerRun(100, func() {
		err := error(QueueFull)
		kind = Of(err)
		body = AppendBody(body[:0], kind, kind.Status(), "7f3a", FormOf(accept))
	})
	if got != 0 {
		t.Errorf("fault, Of, FormOf and AppendBody: %v allocations, want 0", got)
	}
}
