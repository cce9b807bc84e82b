package auth

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func hashOf(t testing.TB, password string, cost int) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func TestParseUsers(t *testing.T) {
	good := hashOf(t, "x", 4)
	for _, c := range []struct {
		text string
		want string // "line what"
	}{
		{"ann:" + good, ""},
		{"# c\r\n\r\nann:" + good + "  \r\nbob:" + strings.Replace(good, "$2a$", "$2y$", 1), ""},
		{"", "0 there is no user"},
		{"ann", "1 the line is not name:hash"},
		{":" + good, "1 the line is not name:hash"},
		{"\nann:$5$x", "2 the hash is SHA-256, not bcrypt"},
		{"ann:" + good[:59], "1 the hash is an incomplete one, not bcrypt"},
		{"ann:" + strings.Replace(good, "$2a$", "$2x$", 1), "1 the hash is an incomplete one, not bcrypt"},
		{"ann:" + strings.Replace(good, "$04$", "$17$", 1), "1 a bcrypt cost of 17 takes too long to check"},
		{"ann:" + strings.Replace(good, "$04$", "$xx$", 1), "1 the bcrypt hash is damaged"},
		{"a\x01n:" + good, "1 the name holds a control character"},
		{strings.Repeat("a", 256) + ":" + good, "1 the name has more than 255 bytes"},
		{"ann:" + good + "\nbob:" + good + "\nann:" + good, "3 the name stands twice; line 1 has it, too"},
	} {
		_, problems := ParseUsers([]byte(c.text))
		got := ""
		if len(problems) > 0 {
			got = fmt.Sprintf("%d %s", problems[0].Line, problems[0].Text)
		}
		if got != c.want {
			t.Errorf("ParseUsers(%q) says %q, want %q", c.text, got, c.want)
		}
	}
}

// A name that nobody has costs as much as the dearest one.
func TestUnknownUsersAreCheckedToo(t *testing.T) {
	u, problems := ParseUsers([]byte("ann:" + hashOf(t, "a", 4) + "\nbob:" + hashOf(t, "b", 5)))
	if problems != nil {
		t.Fatal(problems)
	}
	if cost, _ := bcrypt.Cost(u.decoy); cost != 5 {
		t.Errorf("the decoy has cost %d, want the highest", cost)
	}
	for _, c := range []struct {
		name, password string
		want           bool
	}{{"ann", "a", true}, {"bob", "b", true}, {"ann", "b", false}, {"eve", "b", false}, {"", "b", false}} {
		if got := u.Check([]byte(c.name), []byte(c.password)); got != c.want {
			t.Errorf("Check(%q, %q) = %v, want %v", c.name, c.password, got, c.want)
		}
	}
}

func TestVerified(t *testing.T) {
	v := NewVerified[int](256)
	digest := func(i int) Digest { return v.Digest(fmt.Appendf(nil, "user%d", i), []byte("p")) }
	for i := range 200 {
		v.Remember(digest(i), time.Minute, i)
	}
	found := 0
	for i := range 200 {
		if n, ok := v.Find(digest(i), time.Second); ok {
			found++
			if n != i {
				t.Fatalf("Find of %d = %d", i, n)
			}
		}
		if _, ok := v.Find(digest(i), time.Minute); ok {
			t.Fatalf("%d is found when its time is over", i)
		}
	}
	if found < 150 {
		t.Errorf("%d of 200 are found, want nearly all", found)
	}
	if v.Digest([]byte("ab"), []byte("c")) == v.Digest([]byte("a"), []byte("bc")) {
		t.Error("two names and passwords have one digest")
	}
	if v.Digest(nil, []byte("p")) == NewVerified[int](1).Digest(nil, []byte("p")) {
		t.Error("digests don't depend on a key")
	}
	none := NewVerified[int](0)
	none.Remember(Digest{}, time.Minute, 1)
	if _, ok := none.Find(Digest{}, 0); ok {
		t.Error("a memory of no entries remembers")
	}
	many := NewVerified[int](128)
	for i := range 10000 {
		many.Remember(digest(i), time.Duration(i+1), i)
	}
	if size := shards * len(many.shards[0].entries); size != 128 {
		t.Errorf("it has %d places, want 128", size)
	}
}

func TestKnownDoesNotAllocate(t *testing.T) {
	u, _ := ParseUsers([]byte("ann:" + hashOf(t, "a", 4)))
	b := NewBasic(u, 64, time.Minute)
	var c Credentials
	value := []byte("Basic " + base64.StdEncoding.EncodeToString([]byte("ann:a")))
	if !c.Parse(value) || !b.Check(&c, 0) {
		t.Fatal("the password isn't right")
	}
	if n := testing.AllocsPerRun(100, func() {
		if !c.Parse(value) || !b.Known(&c, time.Second) {
			t.Fatal("it isn't known")
		}
	}); n != 0 {
		t.Errorf("a password that is known takes %v allocations", n)
	}
	if b.Known(&c, 2*time.Minute) {
		t.Error("it is known for ever")
	}
}

// FuzzCredentials checks that nothing with a control character or without a name gets out.
func FuzzCredentials(f *testing.F) {
	for _, s := range []string{"", "Basic ", "Basic YTpi", "basic Og==", "Basic YQ==", "Basic YTpi\x00", "Basic " + strings.Repeat("YTpi", 500)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var c Credentials
		if !c.Parse(value) {
			return
		}
		for _, b := range append(append([]byte(nil), c.user...), c.password...) {
			if b < ' ' || b == 127 {
				t.Errorf("Parse(%q) lets %q through", value, b)
			}
		}
		again := base64.StdEncoding.EncodeToString([]byte(string(c.user) + ":" + string(c.password)))
		if len(c.user) == 0 || !strings.Contains(string(value), strings.TrimRight(again[:len(again)/2], "=")) && !strings.ContainsAny(string(value), "\r\n") {
			t.Errorf("Parse(%q) = %q, %q", value, c.user, c.password)
		}
	})
}

func FuzzParseUsers(f *testing.F) {
	f.Add([]byte("ann:" + hashOf(f, "x", 4)))
	f.Add([]byte("ann:$2y$04$" + strings.Repeat("/", 53) + "\n#\n:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		u, problems := ParseUsers(text)
		if len(problems) == 0 && len(u.list) == 0 {
			t.Errorf("ParseUsers(%q) lets nobody in and says nothing", text)
		}
	})
}
