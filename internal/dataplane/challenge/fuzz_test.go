package challenge

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// fixed seals without chance, so that all processes of a fuzz run have the same texts.
func fixed(k *Keys, what kind, b binding, detail byte) string {
	s := k.scratch.New().(*scratch)
	s.raw[0], s.raw[detailAt] = byte(what), detail
	binary.BigEndian.PutUint32(s.raw[keyIDAt:], k.ids[0])
	binary.BigEndian.PutUint64(s.raw[timeAt:], uint64(start))
	copy(s.raw[tagAt:], s.mac(0, b))
	return alphabet.EncodeToString(s.raw[:])
}

// FuzzOpen opens texts as every kind: seed, ticket, token and check.
func FuzzOpen(f *testing.F) {
	k := parse(f, keyB+"\n"+keyA)
	b := bind("a.example", "192.0.2.0/24")
	made := map[string]kind{}
	for _, what := range []kind{kindSeed, kindTicket, kindToken, kindCheck} {
		text := fixed(k, what, b, 5)
		made[text] = what
		f.Add([]byte(text))
	}
	f.Add([]byte(strings.Repeat("A", TextLen)))
	f.Add([]byte(strings.Repeat("A", TextLen-1) + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, what := range []kind{kindSeed, kindTicket, kindToken, kindCheck} {
			v, ok := k.open(text, what, b)
			if ok != (made[string(text)] == what) || !ok && v != (sealed{}) {
				t.Fatalf("open(%q, %d) = %+v, %v", text, what, v, ok)
			}
			if v, ok := k.open(text, what, bind("b.example", "192.0.2.0/24")); ok {
				t.Fatalf("open(%q, %d) for another host = %+v", text, what, v)
			}
		}
	})
}

// FuzzAnswer sends forms and queries: nothing but a right answer gets a cookie, and nothing
// leads off the site.
func FuzzAnswer(f *testing.F) {
	c := newChallenger(f, keyA)
	facts := visit("/x")
	seed := fixed(c.keys, kindSeed, c.binding(facts), DifficultyMin)
	ticket := fixed(c.keys, kindTicket, c.binding(facts), 5)
	good := answer(f, seed, "%2Fx%0d")
	f.Add(good, true)
	f.Add([]byte("ticket="+ticket+"&to=//evil"), false)
	f.Add([]byte("check="+ticket+"&to=\\\\evil\r\nx:y"), false)
	f.Fuzz(func(t *testing.T, content []byte, posted bool) {
		g := facts.with(func(f *Facts) { f.Path = []byte(ReservedPath) })
		if posted {
			g = post(g)
		}
		r, _ := c.Answer(nil, g, content, start+1)
		if r.SetCookie != nil && !bytes.Contains(content, []byte("seed="+seed)) {
			t.Fatalf("Answer(%q) gives %q", content, r.SetCookie)
		}
		if len(r.Location) > 0 {
			to, err := url.Parse("http://shop.example")
			if err == nil {
				to, err = to.Parse(string(r.Location))
			}
			if err == nil && to.Host != "shop.example" || bytes.ContainsAny(r.Location, "\r\n\t\\ ") || bytes.HasPrefix(r.Location, []byte("//")) {
				t.Fatalf("Answer(%q) leads to %q", content, r.Location)
			}
		}
	})
}

func FuzzSolution(f *testing.F) {
	c := newChallenger(f, keyA)
	facts := visit("/x")
	seed := fixed(c.keys, kindSeed, c.binding(facts), DifficultyMin)
	n, _ := Solve([]byte(seed))
	f.Add(strconv.FormatUint(n, 10))
	f.Add("18446744073709551616")
	f.Add("-0")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := number([]byte(text))
		want, err := strconv.ParseUint(text, 10, 64)
		if plain := len(text) <= 20 && !strings.HasPrefix(text, "+"); ok != (err == nil && plain) || ok && got != want {
			t.Fatalf("number(%q) = %d, %v, want %d, %v", text, got, ok, want, err)
		}
		r, _ := c.Answer(nil, post(facts), []byte("seed="+seed+"&answer="+text), start+1)
		s := new(scratch)
		alphabet.Decode(s.raw[:], []byte(seed))
		if good := ok && s.solved(got, DifficultyMin); !strings.Contains(text, "&") && (r.SetCookie != nil) != good {
			t.Fatalf("Answer of %q = %d, want a cookie: %v", text, r.Status, good)
		}
	})
}

func FuzzForm(f *testing.F) {
	f.Add("seed=a&to=%2Fx%3Fy%3D1%26z+%zz%4&answer=5")
	f.Add("to&to=0")
	f.Add("&&=&to&to=&to=%")
	f.Fuzz(func(t *testing.T, text string) {
		in, _ := parseForm(nil, []byte(text))
		if want, err := url.ParseQuery(text); err == nil && want.Has("to") && want.Get("to") != string(in.to) && !strings.ContainsAny(text, "%+") {
			t.Fatalf("parseForm(%q) has to %q, want %q", text, in.to, want.Get("to"))
		}
		once := appendPath(nil, in.to)
		if again := appendPath(nil, once); !bytes.Equal(once, again) {
			t.Fatalf("appendPath(%q) = %q, and of that %q", in.to, once, again)
		}
		if back := parseQuery(append([]byte("check=x&to="), once...)); !bytes.Equal(back.to, once) || string(back.check) != "x" {
			t.Fatalf("parseQuery gives back %q for %q", back.to, once)
		}
	})
}

func FuzzFacts(f *testing.F) {
	c := newChallenger(f, keyA)
	f.Add("GET", "/x", "text/html;q=0", "navigate", "application/grpc", cookie4+"=x; a", "a:1")
	f.Add("POST", "/x", ",;q=,", "", ";", ";;=;", "[::1]:80")
	f.Fuzz(func(t *testing.T, method, path, accept, fetch, content, cookie, host string) {
		facts := &Facts{
			Method: []byte(method), Path: []byte(path), Target: []byte(path), Accept: []byte(accept), FetchMode: []byte(fetch),
			ContentType: []byte(content), Cookies: [][]byte{[]byte(cookie)}, Host: []byte(host), RequestID: []byte(host),
			Client: netip.MustParseAddr("2001:db8::1"),
		}
		d := c.Decide(&Policy{Mode: Always}, facts, start)
		if c.Passed(facts, start) {
			t.Fatalf("Passed with cookie %q", cookie)
		}
		if d.Action == Page || d.Action == Refuse {
			if r, _ := c.Respond(nil, facts, d, start); len(r.Body) == 0 || len(r.Body) >= PageMax {
				t.Fatalf("Respond = %d bytes", len(r.Body))
			}
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(keyA + "\n# x\n" + keyB))
	f.Fuzz(func(t *testing.T, file []byte) {
		if k, err := ParseKeys(file); err == nil {
			b := bind("s", "2001:db8::/64")
			if _, ok := k.open(k.appendSeal(nil, kindToken, b, 1, 2), kindToken, b); !ok {
				t.Fatal("accepted keys don't open what they seal")
			}
		}
	})
}
