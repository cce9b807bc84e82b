package challenge

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

const start = int64(1_900_000_000)

var (
	keyA = strings.Repeat("a1", 32)
	keyB = strings.Repeat("b2", 32)
	here = netip.MustParseAddr("192.0.2.7")
)

func parse(t testing.TB, file string) *Keys {
	t.Helper()
	k, err := ParseKeys([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newChallenger(t testing.TB, file string) *Challenger {
	t.Helper()
	return New(Options{}, parse(t, file), new(State))
}

// visit is a browser's request for a page.
func visit(target string) *Facts {
	path, _, _ := strings.Cut(target, "?")
	return &Facts{
		Method: []byte("GET"), Host: []byte("shop.example"), Path: []byte(path), Target: []byte(target),
		Accept: []byte("text/html,*/*;q=0.8"), FetchMode: []byte("navigate"),
		RequestID: []byte("7f3a"), Client: here, Rate: 1000,
	}
}

// with returns a copy of facts that was changed.
func (f Facts) with(change func(*Facts)) *Facts {
	change(&f)
	return &f
}

var policy = &Policy{Mode: Enabled, Threshold: 100, Base: DifficultyMin, Max: DifficultyMin}

// between returns what stands between two marks of a page.
func between(t testing.TB, page []byte, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(page), before)
	value, _, ok2 := strings.Cut(rest, after)
	if !ok || !ok2 {
		t.Fatalf("no %q .. %q in %s", before, after, page)
	}
	return value
}

// ask gets a page and returns its seed and ticket.
func ask(t testing.TB, c *Challenger, f *Facts, now int64) (seed, ticket string) {
	t.Helper()
	d := c.Decide(policy, f, now)
	if d.Action != Page {
		t.Fatalf("Decide = %+v, want a page", d)
	}
	r, _ := c.Respond(nil, f, d, now)
	return between(t, r.Body, `name="seed" value="`, `"`), between(t, r.Body, "?ticket=", "&")
}

func post(f *Facts) *Facts {
	return f.with(func(f *Facts) { f.Method = []byte("POST"); f.Path = []byte(ReservedPath) })
}

// answer returns the form that a browser sends for a seed.
func answer(t testing.TB, seed, to string) []byte {
	t.Helper()
	n, ok := Solve([]byte(seed))
	if !ok {
		t.Fatalf("Solve(%q) finds no seed", seed)
	}
	return []byte("seed=" + seed + "&answer=" + strconv.FormatUint(n, 10) + "&to=" + to)
}

func pair(r Response) []byte {
	value, _, _ := bytes.Cut(r.SetCookie, []byte(";"))
	return value
}

func TestSolvesAndGoesOn(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/cart?id=1&x=%20")
	seed, _ := ask(t, c, f, start)
	r, _ := c.Answer([]byte("before"), post(f), answer(t, seed, "%2Fcart%3Fid%3D1%26x%3D%2520"), start+2)
	if r.Status != 303 || r.SetCookie == nil {
		t.Fatalf("Answer = %d, cookie %q, want 303 with one", r.Status, r.SetCookie)
	}
	path, query, _ := bytes.Cut(r.Location, []byte("?"))
	if string(path) != ReservedPath {
		t.Fatalf("Location = %q, want the check", r.Location)
	}
	f.Cookies = [][]byte{[]byte("a=b; " + string(pair(r)) + "; c=d")}
	r, _ = c.Answer(nil, f.with(func(f *Facts) { f.Path = []byte(ReservedPath) }), query, start+3)
	if r.Status != 303 || string(r.Location) != "/cart?id=1&x=%20" || r.SetCookie != nil {
		t.Errorf("Answer to the check = %d to %q, want 303 to the page asked for", r.Status, r.Location)
	}
	if d := c.Decide(policy, f, start+4); d.Action != Pass {
		t.Errorf("Decide with the token = %+v, want pass", d)
	}
	if d := c.Decide(&Policy{Mode: Always}, f.with(func(f *Facts) { f.Rate = 1 << 20 }), start+4); d.Action != Pass {
		t.Errorf("Decide with the token at any rate = %+v, want pass", d)
	}
	n := &c.state.Counters
	if n.Issued.Load() != 1 || n.Solved.Load() != 1 || n.Passed.Load() != 2 || n.Failed.Load() != 0 {
		t.Errorf("counted %d issued, %d solved, %d passed, %d failed", n.Issued.Load(), n.Solved.Load(), n.Passed.Load(), n.Failed.Load())
	}
}

func TestBadAnswers(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/x")
	seed, _ := ask(t, c, f, start)
	n, _ := Solve([]byte(seed))
	wrong := n + 1
	for s := new(scratch); ; wrong++ {
		alphabet.Decode(s.raw[:], []byte(seed))
		if !s.solved(wrong, DifficultyMin) {
			break
		}
	}
	good := string(answer(t, seed, "/x"))
	bent := seed[:30] + string(rune(seed[30]^1)) + seed[31:]
	for _, test := range []struct {
		name, form string
		facts      *Facts
		after      int64
	}{
		{"wrong number", "seed=" + seed + "&answer=" + strconv.FormatUint(wrong, 10), f, 1},
		{"no number", "seed=" + seed, f, 1},
		{"a word", "seed=" + seed + "&answer=x", f, 1},
		{"too large", "seed=" + seed + "&answer=18446744073709551616", f, 1},
		{"bent seed", strings.Replace(good, seed, bent, 1), f, 1},
		{"expired", good, f, seedLife + SkewMax + 1},
		{"from the future", good, f, -SkewMax - 1},
		{"other host", good, f.with(func(f *Facts) { f.Host = []byte("shop.example.org") }), 1},
		{"other prefix", good, f.with(func(f *Facts) { f.Client = netip.MustParseAddr("192.0.3.7") }), 1},
		{"no client", good, f.with(func(f *Facts) { f.Client = netip.Addr{} }), 1},
	} {
		r, _ := c.Answer(nil, post(test.facts), []byte(test.form), start+test.after)
		if r.Status != 403 || r.SetCookie != nil || r.Location != nil {
			t.Errorf("%s: Answer = %d, cookie %q, location %q, want 403 alone", test.name, r.Status, r.SetCookie, r.Location)
		}
	}
	if got := c.state.Counters.Failed.Load(); got != 10 {
		t.Errorf("counted %d failed, want 10", got)
	}
	r, _ := c.Answer(nil, post(f.with(func(f *Facts) {
		f.Host = []byte("SHOP.example:8443")
		f.Client = netip.MustParseAddr("::ffff:192.0.2.200")
	})), []byte(good), start+1)
	if r.Status != 303 {
		t.Errorf("Answer from the same prefix and host in another spelling = %d, want 303", r.Status)
	}
}

func TestReplayBuysOneToken(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/x")
	seed, ticket := ask(t, c, f, start)
	form := answer(t, seed, "/x")
	for _, test := range []struct {
		after  int64
		status int
	}{{1, 303}, {2, 303}, {1 + Grace, 303}, {2 + Grace, 403}, {200, 403}, {seedLife, 403}, {seedLife + SkewMax + 1, 403}} {
		if r, _ := c.Answer(nil, post(f), form, start+test.after); r.Status != test.status {
			t.Errorf("the same answer after %d s = %d, want %d", test.after, r.Status, test.status)
		}
	}
	get := f.with(func(f *Facts) { f.Path = []byte(ReservedPath) })
	for _, test := range []struct {
		after  int64
		status int
	}{{5, 303}, {5 + Grace, 303}, {6 + Grace, 403}} {
		if r, _ := c.Answer(nil, get, []byte("ticket="+ticket+"&to=/x"), start+test.after); r.Status != test.status {
			t.Errorf("the same ticket after %d s = %d, want %d", test.after, r.Status, test.status)
		}
	}
	if got := c.state.Counters.Replayed.Load(); got != 4 {
		t.Errorf("counted %d replayed, want 4", got)
	}
}

// TestUsedAnswerWithToken is two tabs that share an answer: the later one has the cookie.
func TestUsedAnswerWithToken(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/x")
	seed, _ := ask(t, c, f, start)
	form := answer(t, seed, "/x")
	r, _ := c.Answer(nil, post(f), form, start)
	f.Cookies = [][]byte{pair(r)}
	r, _ = c.Answer(nil, post(f), form, start+100)
	if r.Status != 303 || string(r.Location) != "/x" || r.SetCookie != nil {
		t.Errorf("Answer used up, with a token = %d to %q, want 303 to the page", r.Status, r.Location)
	}
}

func TestTwoTabs(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/x")
	seed1, _ := ask(t, c, f, start)
	seed2, _ := ask(t, c, f, start)
	r1, _ := c.Answer(nil, post(f), answer(t, seed1, "/1"), start+1)
	first := pair(r1)
	r2, _ := c.Answer(nil, post(f.with(func(f *Facts) { f.Cookies = [][]byte{first} })), answer(t, seed2, "/2"), start+1)
	for i, cookie := range [][]byte{first, pair(r2)} {
		if !c.Passed(f.with(func(f *Facts) { f.Cookies = [][]byte{cookie} }), start+2) {
			t.Errorf("the token of tab %d doesn't pass", i+1)
		}
	}
}

func TestWait(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/x?a=1&b=2")
	_, ticket := ask(t, c, f, start)
	get := f.with(func(f *Facts) { f.Path = []byte(ReservedPath) })
	query := []byte("ticket=" + ticket + "&to=/x?a=1&b=2")

	r, _ := c.Answer(nil, get, query, start+3)
	if r.Status != 503 || r.RetryAfter != 2 || r.SetCookie != nil {
		t.Fatalf("Answer after 3 of 5 s = %d, Retry-After %d, want 503 and 2", r.Status, r.RetryAfter)
	}
	want := `content="2;url=` + ReservedPath + "?ticket=" + ticket + `&amp;to=/x?a=1&#38;b=2"`
	if !bytes.Contains(r.Body, []byte(want)) {
		t.Errorf("the page doesn't come back by itself with %s:\n%s", want, r.Body)
	}
	r, _ = c.Answer(nil, get, query, start+5)
	if r.Status != 303 || !bytes.HasSuffix(r.Location, []byte("&to=/x?a=1&b=2")) || r.SetCookie == nil {
		t.Errorf("Answer after the wait = %d to %q, want 303 with a cookie", r.Status, r.Location)
	}
	_, late := ask(t, c, f, start)
	if r, _ := c.Answer(nil, get, []byte("ticket="+late), start+5+seedLife+SkewMax+1); r.Status != 403 {
		t.Errorf("Answer to an old ticket = %d, want 403", r.Status)
	}
	n := &c.state.Counters
	if n.Early.Load() != 1 || n.Waited.Load() != 1 || n.Failed.Load() != 1 {
		t.Errorf("counted %d early, %d waited, %d failed, want 1 of each", n.Early.Load(), n.Waited.Load(), n.Failed.Load())
	}
}

func TestNoCookiesIsSaidOnce(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit("/x")
	seed, _ := ask(t, c, f, start)
	r, _ := c.Answer(nil, post(f), answer(t, seed, "/x"), start)
	_, query, _ := bytes.Cut(r.Location, []byte("?"))
	get := f.with(func(f *Facts) { f.Path = []byte(ReservedPath) })
	r, _ = c.Answer(nil, get, query, start+1)
	if r.Status != 403 || !bytes.Contains(r.Body, []byte("Cookies are off")) || r.Location != nil {
		t.Errorf("Answer to a check without cookies = %d to %q: %s", r.Status, r.Location, r.Body)
	}
	for _, bad := range []string{"<script", "http-equiv=\"refresh"} {
		if bytes.Contains(r.Body, []byte(bad)) {
			t.Errorf("the notice goes on by itself: it holds %s", bad)
		}
	}
	if got := c.state.Counters.Looped.Load(); got != 1 {
		t.Errorf("counted %d looped, want 1", got)
	}
	if r, _ = c.Answer(nil, get, []byte("check="+strings.Repeat("A", TextLen)+"&to=/x"), start+1); bytes.Contains(r.Body, []byte("Cookies are off")) {
		t.Error("a forged check is taken for one")
	}
}

func TestReservedPathAlone(t *testing.T) {
	c := newChallenger(t, keyA)
	f := visit(ReservedPath)
	for _, mode := range []Mode{Disabled, Enabled, Always} {
		if d := c.Decide(&Policy{Mode: mode}, f, start); d.Action != Reply {
			t.Errorf("Decide in mode %d = %+v, want reply", mode, d)
		}
	}
	if r, _ := c.Answer(nil, f, nil, start); r.Status != 400 {
		t.Errorf("Answer to nothing = %d, want 400", r.Status)
	}
	r, _ := c.Answer(nil, f.with(func(f *Facts) { f.Method = []byte("DELETE") }), nil, start)
	if r.Status != 405 || r.Allow != "GET, POST" {
		t.Errorf("Answer to DELETE = %d, Allow %q", r.Status, r.Allow)
	}
}
