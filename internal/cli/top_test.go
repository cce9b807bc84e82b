package cli

import (
	"strings"
	"testing"

	"sentinel/internal/control/admin"
)

// Keys are client input: nothing in them reaches a terminal as it is.
func TestPrintTop(t *testing.T) {
	var b strings.Builder
	err := printTop(&b, &admin.Top{List: "agents", Seconds: 60, Total: 200, Entries: []admin.TopEntry{
		{Key: "curl/8\x1b[2J\nfake", Count: 120}, {Key: "", Count: 50}, {Key: "long", Cut: true, Count: 30, Error: 2},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := `200 requests in the last 60 seconds

REQUESTS  PER SECOND  SHARE  AGENT
120       2.0         60.0%  curl/8\x1b[2J\nfake
50        0.8         25.0%  (empty)
30 (-2)   0.5         15.0%  long...
`
	if b.String() != want {
		t.Errorf("printTop wrote\n%s\nwant\n%s", b.String(), want)
	}
}
