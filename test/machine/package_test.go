package machine

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sentinel/internal/testkit/machine"
)

// packages builds the packages of two versions, once, into a folder of its own.
var packages = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(programs, "packages")
	for _, args := range [][]string{{"1.0.0", dir, "deb", "rpm"}, {"1.0.1", dir, "deb"}} {
		if out, err := exec.Command("../../tools/packages.sh", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("packages.sh: %w\n%s", err, out)
		}
	}
	return dir, nil
})

// packageFile returns the package whose name a pattern matches.
func packageFile(t *testing.T, pattern string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("building packages takes a while")
	}
	dir, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, pattern))
	if len(files) != 1 {
		t.Fatalf("packages.sh made %v, want one %s", files, pattern)
	}
	return files[0]
}

// TestDebianPackage walks through the life of an installation: it is installed, configured,
// started, upgraded under load, removed and purged.
func TestDebianPackage(t *testing.T) {
	one := packageFile(t, "*1.0.0*.deb")
	m := machine.Boot(t)
	m.Install(one, "/root/one.deb", 0o644)
	m.Install(packageFile(t, "*1.0.1*.deb"), "/root/two.deb", 0o644)

	if out := m.Run("dpkg", "-i", "/root/one.deb"); !strings.Contains(out, "Edit /etc/sentinel/config.kdl") {
		t.Errorf("dpkg -i says %s, want what to do next", out)
	}
	expect(t, m, []expectation{
		{"systemctl is-active sentinel; systemctl is-enabled sentinel", "inactive\nenabled"},
		{"stat -c '%a %U %G' /etc/sentinel /etc/sentinel/certs /etc/sentinel/config.kdl", "750 root sentinel\n750 root sentinel\n640 root sentinel"},
		{"zcat /usr/share/man/man1/sentinel.1.gz /usr/share/man/man1/sentinel-upgrade.1.gz | grep -c '^.TH'", "2"},
		{"ls -d /usr/share/doc/sentinel/{reference/configuration.md,examples/full.kdl} /usr/share/sentinel/prometheus | wc -l; find /usr/share -name '*.go' -path '*sentinel*'", "3"},
		{"sentinel --validate 2>&1 | cut -d: -f1", "/etc/sentinel/config.kdl is valid"},
		{"bash -n /usr/share/bash-completion/completions/sentinel && logrotate -d /etc/logrotate.d/sentinel 2>&1 | grep -ci error", "0"},
	})
	m.Run("systemctl", "start", "sentinel")
	if code, body := get(t, m, "http://127.0.0.1:8080/"); code != http.StatusOK || !strings.Contains(body, "Sentinel is installed") {
		t.Errorf("the default configuration serves %d %q", code, body)
	}
	m.Write(machine.Config, quiet, 0o640)
	m.Run("chown", "root:sentinel", machine.Config)
	m.Run("systemctl", "reload", "sentinel")
	m.Await("curl -s localhost:8080/ | grep hello")

	pid, l := property(m, "MainPID"), startLoad(m, 500)
	out := m.Run("dpkg", "-i", "/root/two.deb")
	l.end(t)
	if !strings.Contains(out, "Upgrade succeeded") || property(m, "MainPID") == pid {
		t.Errorf("dpkg -i of the next version says %s, want it to serve", out)
	}
	expect(t, m, []expectation{
		{"sentinel status --json | jq -r .version", "1.0.1"},
		{"grep -c hello /etc/sentinel/config.kdl", "1"},
		{"cat /etc/sentinel/config.kdl.backup | grep -c hello", "1"},
	})

	m.Run("dpkg", "-r", "sentinel")
	expect(t, m, []expectation{
		{"systemctl is-active sentinel; pgrep -xc sentinel", "inactive\n0"},
		{"ls /etc/sentinel/config.kdl /usr/bin/sentinel /run/sentinel.pid 2>/dev/null", "/etc/sentinel/config.kdl"},
	})
	m.Run("dpkg", "--purge", "sentinel")
	expect(t, m, []expectation{
		{`find /etc /usr/bin /usr/lib/systemd /usr/lib/sysusers.d /usr/share /var/lib /var/log /run -not -path '/var/lib/dpkg/*' \( -name sentinel -o -name 'sentinel.*' -o -name _sentinel \)`, ""},
		{"systemctl list-unit-files --no-legend 'sentinel*'", ""},
	})
}

// TestUpgradeOfThePackageThatFails installs a version over a configuration that it can't use:
// dpkg is content, and the former process serves on.
func TestUpgradeOfThePackageThatFails(t *testing.T) {
	one := packageFile(t, "*1.0.0*.deb")
	m := machine.Boot(t)
	m.Install(one, "/root/one.deb", 0o644)
	m.Run("dpkg", "-i", "/root/one.deb")
	m.Run("systemctl", "start", "sentinel")
	pid := property(m, "MainPID")
	m.Write(machine.Config, "routes {", 0o644)
	if out, err := m.Try("dpkg", "-i", "--force-confold", "/root/one.deb"); err != nil || !strings.Contains(out, "serves on") {
		t.Errorf("dpkg -i = %v, %s, want it to say that the former serves on", err, out)
	}
	if got := property(m, "MainPID"); got != pid {
		t.Errorf("main process = %s, want %s", got, pid)
	}
	get(t, m, "http://127.0.0.1:8080/")
}

// TestRPM looks at the form and, where there is rpm, at the files of the package.
func TestRPM(t *testing.T) {
	file := packageFile(t, "*1.0.0*.rpm")
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "\xed\xab\xee\xdb") {
		t.Fatalf("%s isn't an rpm: %v", file, err)
	}
	if _, err := exec.LookPath("rpm"); err != nil {
		return
	}
	out, err := exec.Command("rpm", "-qlp", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(out))
	for _, want := range []string{"/usr/bin/sentinel", machine.Unit, machine.Config, "/usr/share/zsh/site-functions/_sentinel"} {
		if !slices.Contains(list, want) {
			t.Errorf("the rpm lacks %s", want)
		}
	}
}
