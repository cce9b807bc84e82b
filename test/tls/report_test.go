package tlstest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sentinel/internal/testkit/pki"
	"sentinel/internal/testkit/program"
	"sentinel/internal/testkit/proxy"
)

// reportVariable asks for the report, which takes two minutes.
const reportVariable = "SENTINEL_TESTSSL"

// expectedFindings are what testssl.sh rightly notes of the test itself: its certificate comes
// from an authority of its own, and its answers are those of an application without headers.
var expectedFindings = map[string]string{
	"cert_revocation":     "the authority of the test names no responder",
	"cert_chain_of_trust": "the authority of the test is unknown to the machine",
	"DNS_CAArecord":       "localhost has none",
	"HSTS":                "security-headers sets it where it is wanted",
	"security_headers":    "likewise",
	"TLS_session_ticket":  "the hint says seven days; tickets are accepted for as long as their keys live",
	"engine_problem":      "of the program itself",
}

// TestReport has testssl.sh look at a listener with the default settings. What it finds is
// expected or nothing.
func TestReport(t *testing.T) {
	if os.Getenv(reportVariable) == "" {
		t.Skipf("%s=1 asks for the report of testssl.sh", reportVariable)
	}
	path, err := exec.LookPath("testssl")
	if err != nil {
		t.Fatal("testssl is missing: apt-get install testssl.sh")
	}
	dir := t.TempDir()
	ca := pki.New(t, "An authority")
	authority := ca.Write(t, dir, "ca.pem")
	cert, key := ca.Issue(t, pki.Server("localhost")).Write(t, dir, "server")
	address := program.FreeAddress(t)
	proxy.Start(t, `listeners { listener "l" { address "`+address+`"; protocol "https"; tls { cert-file "`+cert+`"; key-file "`+key+`" } } }
routes { route "r" { respond 200 "served" } }`)
	report := filepath.Join(dir, "report.json")
	cmd := exec.Command(path, "--quiet", "--color", "0", "--warnings", "off", "--add-ca", authority, "--jsonfile", report, strings.Replace(address, "127.0.0.1", "localhost", 1))
	out, _ := cmd.CombinedOutput() // its status counts findings
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("testssl.sh leaves no report: %v\n%s", err, out)
	}
	var findings []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(text, &findings); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, f := range findings {
		seen[f.ID] = f.Finding
		if f.Severity == "OK" || f.Severity == "INFO" {
			continue
		}
		if why := expectedFindings[f.ID]; why != "" {
			t.Logf("%s %s: %s (%s)", f.Severity, f.ID, f.Finding, why)
		} else {
			t.Errorf("%s %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
	for id, want := range map[string]string{
		"TLS1": "not offered", "TLS1_1": "not offered", "TLS1_2": "offered", "TLS1_3": "offered", "cipherlist_STRONG": "offered",
		"cipherlist_AVERAGE": "not offered", "heartbleed": "not vulnerable", "ALPN_HTTP2": "h2", "overall_grade": "",
	} {
		if got, ok := seen[id]; want != "" && !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", id, got, want)
		} else if ok && id == "overall_grade" {
			t.Logf("grade %s", got)
		}
	}
	t.Logf("%d findings\n%s", len(findings), out)
}
