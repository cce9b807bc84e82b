package filter

import (
	"strings"
	"testing"
)

func TestEdits(t *testing.T) {
	tests := []struct {
		name  string
		edits []Edit
		want  string
	}{
		{"nothing", nil, "A: 1\r\nB: 2\r\na: 3\r\n"},
		{"remove every line", []Edit{{Remove, "a", ""}}, "B: 2\r\n"},
		{"remove what is absent", []Edit{{Remove, "z", ""}}, "A: 1\r\nB: 2\r\na: 3\r\n"},
		{"rename every line", []Edit{{Rename, "A", "C"}}, "B: 2\r\nC: 1\r\nC: 3\r\n"},
		{"swap", []Edit{{Rename, "A", "B"}, {Rename, "B", "A"}}, "B: 1\r\nB: 3\r\nA: 2\r\n"},
		{"set", []Edit{{Set, "A", "x ${route}"}}, "B: 2\r\nA: x api\r\n"},
		{"set what is absent", []Edit{{Set, "C", ""}}, "A: 1\r\nB: 2\r\na: 3\r\nC: \r\n"},
		{"set from itself", []Edit{{Set, "A", "${header:a}!"}}, "B: 2\r\nA: 1!\r\n"},
		{"set from another that is set", []Edit{{Set, "A", "${header:b}"}, {Set, "B", "${header:a}"}}, "A: 2\r\nB: 1\r\n"},
		{"add", []Edit{{Add, "A", "x"}, {Add, "A", "y"}}, "A: 1\r\nB: 2\r\na: 3\r\nA: x\r\nA: y\r\n"},
		{"set before add", []Edit{{Add, "A", "y"}, {Set, "A", "x"}}, "B: 2\r\nA: x\r\nA: y\r\n"},
		{"remove before rename", []Edit{{Rename, "A", "C"}, {Remove, "A", ""}}, "B: 2\r\n"},
		{"set wins over rename", []Edit{{Set, "b", "x"}, {Rename, "A", "B"}}, "b: x\r\n"},
		{"set Host", []Edit{{Set, "Host", "h"}}, "A: 1\r\nB: 2\r\na: 3\r\nHost: h\r\n"},
	}
	for _, tt := range tests {
		e, err := CompileEdits(tt.edits)
		if err != nil {
			t.Errorf("%s: CompileEdits = %v", tt.name, err)
			continue
		}
		h := headOf([2]string{"A", "1"}, [2]string{"B", "2"}, [2]string{"a", "3"})
		v := someVars()
		v.Head = h
		e.Apply(h, v)
		if got := string(h.AppendFields(nil)); got != tt.want {
			t.Errorf("%s: fields after Apply = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEditsTakeAwayLookAlikes(t *testing.T) {
	tests := []struct {
		edit Edit
		want string
	}{
		{Edit{Set, "X-User", "alice"}, "XUser: c\r\nX-User: alice\r\n"},
		{Edit{Set, "X_User", "alice"}, "XUser: c\r\nX_User: alice\r\n"},
		{Edit{Remove, "x-user", ""}, "XUser: c\r\n"},
		{Edit{Set, "X-Use", "alice"}, "X_User: a\r\nx-useR: b\r\nXUser: c\r\nX-Use: alice\r\n"},
	}
	for _, tt := range tests {
		e, err := CompileEdits([]Edit{tt.edit})
		if err != nil {
			t.Fatal(err)
		}
		h := headOf([2]string{"X_User", "a"}, [2]string{"x-useR", "b"}, [2]string{"XUser", "c"})
		e.Apply(h, &Vars{Head: h})
		if got := string(h.AppendFields(nil)); got != tt.want {
			t.Errorf("fields after %v = %q, want %q", tt.edit, got, tt.want)
		}
	}
}

func TestHostValue(t *testing.T) {
	for value, want := range map[string]bool{
		"up.example": true, "up.example:8080": true, "${host}": true, "[::1]:80": true, "${upstream}.internal": true,
		"": false, "${header:X-Host}": false, "${path}": false, "${query}": false, "a?${query}": false,
		"${method}": false, "a b": false, "a/b": false, "u@a": false, "ä": false,
	} {
		if _, err := CompileEdits([]Edit{{Set, "host", value}}); (err == nil) != want {
			t.Errorf("CompileEdits(set Host %q) = %v, want success %v", value, err, want)
		}
	}
}

func TestEditsSkipDroppedLines(t *testing.T) {
	e, err := CompileEdits([]Edit{{Rename, "A", "B"}, {Set, "C", "${header:A}"}})
	if err != nil {
		t.Fatal(err)
	}
	h := headOf([2]string{"A", "1"})
	h.Fields[0].Dropped = true
	e.Apply(h, &Vars{Head: h})
	if got, want := string(h.AppendFields(nil)), "C: \r\n"; got != want {
		t.Errorf("fields after Apply = %q, want %q", got, want)
	}
}

func TestCompileEditsErrors(t *testing.T) {
	tests := []struct {
		edits []Edit
		want  string
	}{
		{[]Edit{{Set, "", "x"}}, "not a field name"},
		{[]Edit{{Set, "a b", "x"}}, "not a field name"},
		{[]Edit{{Set, "a\r\n", "x"}}, "not a field name"},
		{[]Edit{{Set, "ä", "x"}}, "not a field name"},
		{[]Edit{{Rename, "A", "b:"}}, "not a field name"},
		{[]Edit{{Rename, "A", "te"}}, "can't be edited"},
		{[]Edit{{Remove, "Host", ""}}, "can only be set"},
		{[]Edit{{Add, "host", "x"}}, "can only be set"},
		{[]Edit{{Rename, "A", "HOST"}}, "can't become Host"},
		{[]Edit{{Set, "A", "x"}, {Set, "a", "y"}}, "set twice"},
		{[]Edit{{Rename, "A", "B"}, {Rename, "a", "C"}}, "renamed twice"},
		{[]Edit{{Set, "A", "${x}"}}, `value of field "A": unknown variable`},
		{[]Edit{{Add, "A", "x\r\nB: y"}}, "control character"},
	}
	for _, name := range []string{
		"Content-Length", "transfer-encoding", "CONNECTION", "Upgrade", "Trailer", "TE",
		"Keep-Alive", "Proxy-Connection", "Expect", "HTTP2-Settings", "Proxy-Authorization",
		"Proxy-Authenticate", "Transfer_Encoding", "CONTENT_LENGTH", "Keep_Alive",
	} {
		for op := Remove; op <= Add; op++ {
			tests = append(tests, struct {
				edits []Edit
				want  string
			}{[]Edit{{op, name, "x"}}, "can't be edited"})
		}
	}
	for _, tt := range tests {
		if _, err := CompileEdits(tt.edits); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("CompileEdits(%q) = %v, want an error with %q", tt.edits, err, tt.want)
		}
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	e, err := CompileEdits([]Edit{
		{Remove, "A", ""},
		{Rename, "B", "C"},
		{Set, "X-Real", "${client_ip} ${header:D}"},
		{Add, "X-Route", "${route}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := headOf([2]string{"A", "1"}, [2]string{"B", "2"}, [2]string{"D", "3"})
	v := someVars()
	v.Head = h
	h.Extra = make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		h.Extra = h.Extra[:0]
		for i := range h.Fields {
			h.Fields[i].Dropped = false
		}
		e.Apply(h, v)
	}); n != 0 {
		t.Errorf("Apply allocates %v times, want 0", n)
	}
}
