package cli

import (
	"context"
	"path/filepath"

	"sentinel/internal/config/kdl"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/control/history"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/control/override"
	"sentinel/internal/ops/incident"
)

// newWork binds the commands to the program.
func newWork() work {
	return work{
		run: run, check: check, show: show, overridesBy: overridesBy, diff: diff, format: format, adminSocket: adminSocket, auditFile: auditFile,
		migrate: migrate, keptBy: lifecycle.KeptBy, textsBy: textsBy, rollbackFiles: lifecycle.RollbackFiles,
	}
}

func run(ctx context.Context, s lifecycle.Start) error {
	return s.Run(ctx, incident.Beside(diagnosisSource(diagnosisOf(s.ConfigFile))))
}

func check(path string) (summary, error) {
	_, l, err := lifecycle.Check(path)
	if err != nil {
		return summary{}, err
	}
	return summary{Listeners: len(l.Settings.Listeners.Listeners), Routes: len(l.Routes), Upstreams: len(l.Upstreams), Notes: l.Notes}, nil
}

func show(path string, overrides []admin.Override) (string, error) {
	_, l, err := lifecycle.CheckLaid(path, overrides)
	if err != nil {
		return "", err
	}
	return l.Show(), nil
}

func textsBy(path string, number int) (admin.HistoryTexts, error) {
	return lifecycle.KeptTexts(history.In(lifecycle.StateDir(path)), number)
}

func diff(before, after texts) ([]string, error) {
	var cfgs [2]*schema.Config
	for i, t := range []texts{before, after} {
		cfg, _, err := lifecycle.CheckTexts(t.path, t.kept)
		if err != nil {
			return nil, err
		}
		cfgs[i] = cfg
	}
	return schema.Diff(cfgs[0], cfgs[1]), nil
}

func format(name string, text []byte, v kdl.Version) ([]byte, error) {
	out, diags := kdl.Format(name, text, kdl.FormatOptions{Write: v})
	if diags.HasErrors() {
		report := diags.AppendText(nil, func(string) []byte { return text })
		return nil, &lifecycle.ConfigError{Kind: "parse error", Report: string(report)}
	}
	return out, nil
}

func migrate(name string, text []byte, part bool) (schema.Migrated, error) {
	m, diags := schema.Migrate(name, text, schema.Options{Fragment: part})
	if diags.HasErrors() {
		return m, lifecycle.NewConfigError(diags, func(string) []byte { return text })
	}
	return m, nil
}

// adminSocket works with a configuration that has errors too: a running process is asked
// most when its file is broken.
func adminSocket(path string) string {
	cfg, _, _ := schema.Load(path, schema.Options{})
	if cfg.System.AdminSocket.V == "" {
		return defaultAdminSocket
	}
	return cfg.System.AdminSocket.V
}

// auditFile works with a configuration that has errors too.
func auditFile(path string) string {
	cfg, _, _ := schema.Load(path, schema.Options{})
	switch {
	case cfg.System.Admin.AuditFile.V != "":
		return cfg.System.Admin.AuditFile.V
	case cfg.System.StateDir.V != "":
		return filepath.Join(cfg.System.StateDir.V, "audit.log")
	}
	return "/var/lib/sentinel/audit.log"
}

// defaultAdminSocket is the socket of a configuration that can't even be read.
const defaultAdminSocket = "/var/run/sentinel/admin.sock"

// overridesBy reads the overrides that the state folder of a configuration keeps.
func overridesBy(path string) ([]admin.Override, error) {
	cfg, _, diags := schema.Load(path, schema.Options{})
	if diags.HasErrors() {
		return nil, nil // which is said by whoever uses the configuration
	}
	return override.InFile(cfg.System.StateDir.V)
}
