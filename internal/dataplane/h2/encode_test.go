package h2

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"sentinel/internal/dataplane/message"
)

// TestSectionRoundTrip has another decoder read what is written.
func TestSectionRoundTrip(t *testing.T) {
	long := strings.Repeat("v", 20000)
	var h message.Head
	h.Reset(nil)
	appendLine(&h, message.FieldOther, "X-Upper-Case", "Kept As It Is")
	appendLine(&h, message.FieldConnection, "Connection", "close")
	appendLine(&h, message.FieldOther, "x-long", long)
	h.Add("Set-Cookie", []byte("a=b"))
	h.Add("Transfer-Encoding", []byte("chunked"))
	h.Add("Empty", nil)
	for _, status := range []int{103, 200, 204, 206, 304, 400, 404, 500, 503, 599} {
		b := appendSectionOf(appendStatus([]byte{tableOff}, status), &h)
		fields, err := hpack.NewDecoder(4096, nil).DecodeFull(b)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range fields {
			got = append(got, f.Name+"="+f.Value)
		}
		want := []string{":status=" + string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}), "x-upper-case=Kept As It Is", "x-long=" + long, "set-cookie=a=b", "empty="}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("section = %.200q, want %.200q", got, want)
		}
	}
}

// TestStaticNames compares the names with the table of another decoder.
func TestStaticNames(t *testing.T) {
	for n, names := range staticNames {
		for _, e := range names {
			if len(e.name) != n {
				t.Errorf("%q stands among names of %d bytes", e.name, n)
			}
			fields, err := hpack.NewDecoder(4096, nil).DecodeFull(append(appendInt(nil, 0, 4, e.index), 0))
			if err != nil || fields[0].Name != e.name {
				t.Errorf("%d is %v, %v; want %q", e.index, fields, err, e.name)
			}
		}
	}
	for _, name := range []string{"", "x", "x-unknown", strings.Repeat("a", 300)} {
		if i := staticName([]byte(name)); i != 0 {
			t.Errorf("staticName(%q) = %d, want 0", name, i)
		}
	}
}

func TestParsePriority(t *testing.T) {
	for _, test := range []struct {
		value string
		want  priority
	}{
		{"", priority{3, false}},
		{"u=0", priority{0, false}},
		{"u=7, i", priority{7, true}},
		{"i=?1,u=2;x", priority{2, true}},
		{"i=?0", priority{3, false}},
		{"u=8", priority{3, false}},
		{"u=-1, U=1, u", priority{3, false}},
		{"x=1, u=5", priority{5, false}},
	} {
		if got := parsePriority(test.value); got != test.want {
			t.Errorf("parsePriority(%q) = %v, want %v", test.value, got, test.want)
		}
	}
}

// TestSendQueue checks the order of streams that wait.
func TestSendQueue(t *testing.T) {
	at := func(id uint32, urgency uint8, incremental bool, w waits) *stream {
		s := &stream{id: id}
		s.priority, s.waits = priority{urgency, incremental}, w
		return s
	}
	var q sendQueue
	for _, s := range []*stream{
		at(9, 3, false, waitsTurn), at(5, 3, false, waitsTurn), at(7, 3, true, waitsTurn), at(1, 6, false, waitsTurn),
		at(11, 0, true, waitsTurn), at(3, 3, true, waitsTurn), at(13, 5, false, waitsRoom),
	} {
		q.add(s)
	}
	var got []uint32
	for s := q.first; s != nil; s = s.after {
		got = append(got, s.id)
	}
	want := []uint32{13, 11, 5, 9, 7, 3, 1}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("the order is %v, want %v", got, want)
		}
	}
}

// TestAllowance checks that an allowance grows back to its limit and no further.
func TestAllowance(t *testing.T) {
	a := allowance{left: 3, max: 3, perSecond: 10}
	for i, test := range []struct {
		n    int64
		at   float64 // seconds
		want bool
	}{{3, 0, true}, {1, 0, false}, {1, 1, true}, {3, 9, true}, {1, 9, false}} {
		if got := a.take(test.n, seconds(test.at)); got != test.want {
			t.Errorf("%d: take(%d) at %v = %v, want %v", i, test.n, test.at, got, test.want)
		}
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
