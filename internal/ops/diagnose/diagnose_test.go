package diagnose

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the reference page")

// root is the folder of the module.
var root = filepath.Join("..", "..", "..")

func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join(root, "docs", "reference", "diagnose.md")
	if *update {
		if err := os.WriteFile(path, Reference(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, Reference()) {
		t.Errorf("%s is stale (%v), run go test ./internal/ops/diagnose -update", path, err)
	}
}

// TestCauses holds the table together: codes are unique, what is explained exists, and the
// runbook has each section.
func TestCauses(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	var anchors []string
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(string(page), -1) {
		anchors = append(anchors, strings.ReplaceAll(strings.ToLower(m[1]), " ", "-"))
	}
	var codes []string
	for _, c := range Causes() {
		if slices.Contains(codes, c.Code) {
			t.Errorf("the code %s stands twice", c.Code)
		}
		codes = append(codes, c.Code)
		if c.Severity == Well || c.Meaning == "" || c.Signs == "" {
			t.Errorf("%s lacks a severity, a meaning or its signs", c.Code)
		}
		if a := sections()[c.Procedure]; !slices.Contains(anchors, a) {
			t.Errorf("%s leads to #%s, which docs/runbook.md doesn't have", c.Code, a)
		}
	}
	for _, c := range Causes() {
		for _, e := range c.Explains {
			if !slices.Contains(codes, e) {
				t.Errorf("%s explains %s, which is no cause", c.Code, e)
			}
		}
	}
}

func TestRank(t *testing.T) {
	for _, c := range []struct {
		name  string
		found []Finding
		want  string
	}{
		{"the worst first", []Finding{{Code: "certificate-expires-soon"}, {Code: "connection-limit"}}, "connection-limit:SEV2 certificate-expires-soon:SEV4"},
		{"a cause is as bad as what it explains", []Finding{{Code: "error-rate", Severity: SEV1}, {Code: "upstream-refused"}}, "upstream-refused:SEV1 error-rate:SEV1"},
		{"through several", []Finding{{Code: "health-unanswered"}, {Code: "process-killed", Severity: SEV3}, {Code: "config-invalid"}}, "config-invalid:SEV1 process-killed:SEV1 health-unanswered:SEV1"},
		{"what explains nothing stays", []Finding{{Code: "error-rate", Severity: SEV2}, {Code: "pid-file-stale"}}, "error-rate:SEV2 pid-file-stale:SEV4"},
	} {
		var got []string
		for _, f := range rank(c.found) {
			got = append(got, f.Code+":"+f.Severity.String())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: rank = %s, want %s", c.name, s, c.want)
		}
	}
}

func TestPrint(t *testing.T) {
	long := "sentinel drain " + Word("shop/10.0.0.1:8080") + " --reason " + Word("connections are refused by it") + " --config /etc/other/place/of/config.kdl"
	r := Report{Severity: SEV2, Verdict: "a verdict " + strings.Repeat("of many words ", 10), Findings: []Finding{{
		Code: "upstream-refused", Severity: SEV2, What: "what", Evidence: []string{"forged\n\x1b[2Jline", "  more of it"}, Commands: []Command{{"why", long}},
	}}, Unseen: []string{"the journal"}}
	var b bytes.Buffer
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	if strings.Contains(text, "\x1b") || !strings.Contains(text, "forged??[2Jline\n     more of it") {
		t.Errorf("Print = %q", text)
	}
	if pasted := strings.ReplaceAll(text, " \\\n    ", " "); !strings.Contains(pasted, "  "+long+"\n") {
		t.Errorf("the command doesn't survive its lines:\n%s", text)
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{"0100007F:1F90": "127.0.0.1:8080", "00000000000000000000000001000000:0050": "[::1]:80", "0000000000000000FFFF00000100007F:0050": "127.0.0.1:80"} {
		if got, ok := parseAddress(in); !ok || got.String() != want {
			t.Errorf("parseAddress(%q) = %v %v, want %s", in, got, ok, want)
		}
	}
}

func TestLabel(t *testing.T) {
	s := `x{fault="a",route="q\"uo\\te",side="self"}`
	if got := label(s, "route"); got != `q"uo\te` {
		t.Errorf("label = %q", got)
	}
	if got := label(s, "side"); got != "self" {
		t.Errorf("label = %q", got)
	}
}

func TestStampOf(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-24T20:00:00,500000+01:00 Out of memory":         "2026-11-24T19:00:00.5Z",
		"2026-11-24T20:00:00+0000 host kernel: Out of memory":    "2026-11-24T20:00:00Z",
		"[12345.678] Out of memory: Killed process 1 (sentinel)": "0001-01-01T00:00:00Z",
	} {
		if got := stampOf(in).UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("stampOf(%q) = %s, want %s", in, got, want)
		}
	}
}
