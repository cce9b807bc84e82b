package machine

import "path/filepath"

// Where a package puts what belongs to it.
const (
	Program = "/usr/bin/sentinel"
	Config  = "/etc/sentinel/config.kdl"
	Unit    = "/usr/lib/systemd/system/sentinel.service"
)

// deploy is the folder of the units as seen from the folder of a test, two below the root of
// the module.
const deploy = "../../deploy"

// InstallSentinel installs a binary of the host with the units, users and folders of deploy/,
// and a configuration. Nothing is started.
func (m *Machine) InstallSentinel(binary, config string) {
	m.tb.Helper()
	m.Install(binary, Program, 0o755)
	units, err := filepath.Glob(filepath.Join(deploy, "sentinel.s*"))
	if err != nil || len(units) == 0 {
		m.tb.Fatalf("no units in %s: %v", deploy, err)
	}
	for _, unit := range units {
		m.Install(unit, filepath.Join(filepath.Dir(Unit), filepath.Base(unit)), 0o644)
	}
	m.Install(filepath.Join(deploy, "package", "sysusers.conf"), "/usr/lib/sysusers.d/sentinel.conf", 0o644)
	m.Run("systemd-sysusers", "sentinel.conf")
	m.Write(Config, config, 0o644)
	m.Run("ln", "-sfn", "/var/lib/sentinel/config.kdl.backup", Config+".backup")
	m.Run("systemctl", "daemon-reload")
}

// Start installs Sentinel and starts it as a service, and waits until it says that it is
// ready.
func (m *Machine) Start(binary, config string) {
	m.tb.Helper()
	m.InstallSentinel(binary, config)
	m.Run("systemctl", "start", "sentinel")
}
