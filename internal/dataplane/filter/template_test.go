package filter

import (
	"strings"
	"testing"

	"sentinel/internal/dataplane/message"
)

// headOf makes a head with the given field lines.
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

func someVars() *Vars {
	return &Vars{
		ClientIP: []byte("192.0.2.1"), ClientPort: []byte("4711"), Host: []byte("a.example"),
		Method: []byte("GET"), Path: []byte("/p"), Query: []byte("q=1"), Scheme: []byte("https"),
		RequestID: []byte("id-1"), Route: "api", Upstream: "pool", Listener: "web",
		Head: headOf([2]string{"X-A", "one"}, [2]string{"x-a", "two"}),
	}
}

func TestTemplate(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"plain text", "plain text"},
		{"${client_ip}:${client_port}", "192.0.2.1:4711"},
		{"${scheme}://${host}${path}?${query}", "https://a.example/p?q=1"},
		{"${method} ${request_id} ${route} ${upstream} ${listener}", "GET id-1 api pool web"},
		{"<${header:x-A}>", "<one>"},
		{"<${header:X-B}>", "<>"},
		{"$5 costs $ {x} }", "$5 costs $ {x} }"},
		{"$${host} is ${host}", "${host} is a.example"},
		{"a$${b$${c", "a${b${c"},
		{"?${query}", "?q=1"},
		{"?x${query}", "?xq=1"},
	}
	for _, tt := range tests {
		c, err := CompileTemplate(tt.text)
		if err != nil {
			t.Errorf("CompileTemplate(%q) = %v", tt.text, err)
			continue
		}
		if got := string(c.Append([]byte(">"), someVars())); got != ">"+tt.want {
			t.Errorf("CompileTemplate(%q).Append = %q, want %q", tt.text, got, ">"+tt.want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"${", "not closed"},
		{"a ${host", "not closed"},
		{"${nope}", "client_ip, client_port, host, method, path, query, scheme, request_id, route, upstream, listener, header:Name"},
		{"${}", "unknown variable ${}"},
		{"${ host }", "unknown variable"},
		{"${header:}", "not a field name"},
		{"${header:a b}", "not a field name"},
		{"a\r\nb", "control character 0x0d at byte 1"},
	}
	for _, tt := range tests {
		if _, err := CompileTemplate(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("CompileTemplate(%q) = %v, want an error with %q", tt.text, err, tt.want)
		}
	}
}

func TestTemplateOfEmptyVars(t *testing.T) {
	c, err := CompileTemplate("${host}${path}?${query}${header:X}")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(c.Append(nil, &Vars{})); got != "" {
		t.Errorf("Append = %q, want nothing", got)
	}
}

func TestTemplateDropsControlCharacters(t *testing.T) {
	c, err := CompileTemplate("${path}|${route}|${header:a}")
	if err != nil {
		t.Fatal(err)
	}
	v := &Vars{Path: []byte("/\r\nx\x00y\x7f"), Route: "\na\t", Head: headOf([2]string{"A", "b\tc\xff"})}
	if got, want := string(c.Append(nil, v)), "/xy|a|bc\xff"; got != want {
		t.Errorf("Append = %q, want %q", got, want)
	}
}

func FuzzCompileTemplate(f *testing.F) {
	for _, s := range []string{"", "${host}", "$${", "a?${query}", "${header:X-A}", "${", "$$${path}", "\r\n"} {
		f.Add(s, "value\r\n")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		c, err := CompileTemplate(text)
		if err != nil {
			return
		}
		b := []byte(value)
		v := &Vars{
			ClientIP: b, ClientPort: b, Host: b, Method: b, Path: b, Query: b, Scheme: b,
			RequestID: b, Route: value, Upstream: value, Listener: value,
		}
		got := string(c.Append(nil, v))
		for i := range len(got) {
			if isControl(got[i]) {
				t.Fatalf("CompileTemplate(%q).Append with %q = %q, which holds a control character", text, value, got)
			}
		}
		if !strings.Contains(text, "${") && got != text {
			t.Fatalf("CompileTemplate(%q).Append = %q, want the text", text, got)
		}
	})
}
