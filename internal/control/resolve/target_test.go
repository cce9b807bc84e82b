package resolve

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for _, tt := range []struct {
		text, host, addr string
		port             uint16
	}{
		{"a.Example:80", "a.example", "", 80},
		{"a.example.:65535", "a.example.", "", 65535},
		{"_x_-1:1", "_x_-1", "", 1},
		{"192.0.2.1:80", "", "192.0.2.1", 80},
		{"[2001:db8::1]:80", "", "2001:db8::1", 80},
		{"[::ffff:192.0.2.1]:80", "", "192.0.2.1", 80},
		{"a.example", "", "", 0},
		{"a.example:", "", "", 0},
		{"a.example:0", "", "", 0},
		{"a.example:65536", "", "", 0},
		{"a.example:+80", "", "", 0},
		{"a.example:http", "", "", 0},
		{":80", "", "", 0},
		{"[fe80::1%eth0]:80", "", "", 0},
		{"256.1.1.1:80", "", "", 0},
		{"1.2.3:80", "", "", 0},
		{"a..example:80", "", "", 0},
		{".:80", "", "", 0},
		{"a b:80", "", "", 0},
		{"bücher.example:80", "", "", 0},
		{"2001:db8::1:80", "", "", 0},
		{strings.Repeat("a", 64) + ".example:80", "", "", 0},
		{strings.Repeat("a.", 127) + "b:80", "", "", 0},
	} {
		got, err := parseTarget(tt.text)
		if got.host != tt.host || got.port != tt.port || (err == nil) != (tt.port != 0) {
			t.Errorf("parseTarget(%q) = %q %d, %v, want %q %d", tt.text, got.host, got.port, err, tt.host, tt.port)
		}
		if tt.addr != "" && got.addr != netip.MustParseAddr(tt.addr) {
			t.Errorf("parseTarget(%q) = %v, want %s", tt.text, got.addr, tt.addr)
		}
	}
}

func TestParseTargets(t *testing.T) {
	var many bytes.Buffer
	for i := range TargetsMax + 1 {
		fmt.Fprintf(&many, "h%d.example:80\n", i)
	}
	for _, tt := range []struct{ text, want string }{
		{"a:80\r\nb:81 weight=7\r\n", "a:80*1 b:81*7"},
		{"\uFEFFa:80", "a:80*1"},
		{"  a:80\t weight=0#x", "a:80*0"},
		{"#a:80\nb:80", "b:80*1"},
		{"", "f: file lists no targets"},
		{" \n# a:80", "f: file lists no targets"},
		{"a:80\n\nb", `f:3: "b" is not host:port`},
		{"a:80 b:80", `f:1: "b:80" is not weight=N`},
		{"a:80 weight=1 x", `f:1: "weight=1 x" is not weight=N`},
		{"a:80 weight=-1", `f:1: weight "-1" is not a number from 0 to 65535`},
		{"a:80 weight=65536", `f:1: weight "65536" is not a number from 0 to 65535`},
		{"a:80\nb:80\na:80 weight=2", "f:3: a:80 stands in line 1 already"},
		{"a:80 #" + strings.Repeat("x", lineBytesMax), "f:1: line is longer than 1024 bytes"},
		{many.String(), "f:10001: more than 10000 targets"},
	} {
		targets, err := parseTargets("f", []byte(tt.text))
		var words []string
		for _, x := range targets {
			words = append(words, fmt.Sprintf("%s*%d", x.text, x.weight))
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("parseTargets(%.40q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzParseTargets(f *testing.F) {
	for _, seed := range []string{"a:80\nb:81 weight=7\n", "[::1]:80#x", "\uFEFF a:80\r\n\r\n", "a:80 weight=", "1.2.3.4:5\n1.2.3.4:5"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		targets, err := parseTargets("f", data)
		if err != nil {
			if len(targets) > 0 || !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("parseTargets(%q) = %v, %v", data, targets, err)
			}
			return
		}
		if len(targets) == 0 || len(targets) > TargetsMax {
			t.Fatalf("parseTargets(%q): %d targets and no error", data, len(targets))
		}
		var again strings.Builder
		for _, x := range targets {
			if x.port == 0 || x.weight < 0 || x.weight > WeightMax || x.addr.IsValid() == validHost(x.host) {
				t.Fatalf("parseTargets(%q) lets %+v through", data, x)
			}
			fmt.Fprintf(&again, "%s weight=%d\n", x.text, x.weight)
		}
		second, err := parseTargets("f", []byte(again.String()))
		if err != nil || !slices.Equal(targets, second) {
			t.Fatalf("parseTargets(%q) isn't what it means: %v, %v", data, second, err)
		}
	})
}

func TestParseResolvConf(t *testing.T) {
	for _, tt := range []struct{ text, servers, search string }{
		{"", "", ""},
		{
			"nameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\nnameserver example\n",
			"192.0.2.1:53 [fe80::1%eth0]:53 [2001:db8::1]:53", "",
		},
		{"search A.example. . b.example bad..name\n", "", "a.example. b.example."},
		{"domain a.example\n", "", "a.example."},
		{strings.Repeat("nameserver 192.0.2.1\n", 20), strings.TrimSpace(strings.Repeat("192.0.2.1:53 ", serversMax)), ""},
	} {
		s := parseResolvConf([]byte(tt.text))
		if got := strings.Join(s.servers, " "); got != tt.servers {
			t.Errorf("servers of %.30q = %q, want %q", tt.text, got, tt.servers)
		}
		if got := strings.Join(s.search, " "); got != tt.search {
			t.Errorf("search of %.30q = %q, want %q", tt.text, got, tt.search)
		}
	}
}

func FuzzSystemFiles(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.1\nsearch a.example b\noptions ndots:5 timeout:1\n"), "www.example")
	f.Add([]byte("192.0.2.1 a.example b # c\n::1 localhost\n"), "b")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		s := parseResolvConf(data)
		if name = strings.ToLower(name); validHost(name) {
			for _, full := range s.candidates(name) {
				if !validHost(full) || !strings.HasSuffix(full, ".") {
					t.Fatalf("candidates(%q) holds %q", name, full)
				}
			}
		}
		for host, addrs := range parseHosts(data) {
			if !validHost(host) || slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !usable(a) }) {
				t.Fatalf("parseHosts(%q) holds %q %v", data, host, addrs)
			}
		}
	})
}

func TestErrorsAreKinds(t *testing.T) {
	if _, err := parseTargets("f", nil); !errors.Is(err, ErrEmptyFile) {
		t.Errorf("parseTargets of nothing: %v, want %v", err, ErrEmptyFile)
	}
}
