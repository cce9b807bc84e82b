package lifecycle

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"sentinel/internal/config/kdl"
	"sentinel/internal/config/schema"
	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/block"
	"sentinel/internal/dataplane/listen"
)

// The kinds of a ConfigError.
const (
	kindParse      = "parse error"
	kindValidation = "validation error"
	kindRead       = "read error"
)

// ReadConfig reads and checks the configuration at path without building what serves it:
// the Build of the result is nil.
func ReadConfig(path string) (*schema.Config, *Loaded, error) { return readTexts(path, nil) }

// readTexts is ReadConfig with texts, unless nil, in place of the files.
func readTexts(path string, texts []Source) (*schema.Config, *Loaded, error) {
	return readLaid(path, texts, nil)
}

// readLaid is readTexts with overlays.
func readLaid(path string, texts []Source, overlays func(stateDir string) []*schema.Overlay) (*schema.Config, *Loaded, error) {
	cfg, sources, diags := schema.Load(path, schema.Options{Texts: byPath(texts), Overlays: overlays})
	if diags.HasErrors() {
		e := NewConfigError(diags, sources.Text)
		if len(sources.Names) == 0 {
			e.Kind = kindRead
		}
		return nil, nil, e
	}
	plane, more := readAdmin(cfg)
	if diags = append(diags, more...); diags.HasErrors() {
		return nil, nil, NewConfigError(diags, sources.Text)
	}
	l := &Loaded{
		Settings: settingsOf(cfg), Notes: notesOf(diags), Sources: sourcesOf(sources),
		Routes: routesOf(cfg), Upstreams: upstreamsOf(cfg), Globs: sources.Globs, config: cfg, laid: sources.Laid,
		Show: func() string { return string(schema.Show(cfg)) },
	}
	l.Settings.Admin = plane
	return cfg, l, nil
}

// byPath returns texts by the absolute paths of their files; nil for nil.
func byPath(texts []Source) map[string][]byte {
	if texts == nil {
		return nil
	}
	m := make(map[string][]byte, len(texts))
	for _, s := range texts {
		if path, err := filepath.Abs(s.Path); err == nil {
			m[path] = s.Text
		}
	}
	return m
}

// NewConfigError makes an error of diagnostics that hold one. textOf gives the text of a
// file for the report. Lines with a place come first: a log line has room for a few only.
func NewConfigError(diags kdl.Diagnostics, textOf func(file string) []byte) *ConfigError {
	e := &ConfigError{Kind: kindValidation, Report: string(diags.AppendText(nil, textOf))}
	var placeless []string
	for _, d := range diags {
		switch {
		case d.Severity != kdl.Error:
			continue
		case d.Span.IsValid():
			e.Lines = append(e.Lines, d.String())
		default:
			placeless = append(placeless, d.String())
		}
		if strings.HasPrefix(d.Message, kindParse) {
			e.Kind = kindParse
		}
	}
	e.Lines = append(e.Lines, placeless...)
	return e
}

// notesOf returns the warnings, each in one line with all its places.
func notesOf(diags kdl.Diagnostics) []string {
	var notes []string
	for _, d := range diags {
		note := fmt.Sprintf("%s at %s", d.Message, place(d.File, d.Span))
		for _, r := range d.Related {
			note += fmt.Sprintf(", %s at %s", r.Message, place(r.File, r.Span))
		}
		notes = append(notes, note)
	}
	return notes
}

func place(file string, s kdl.Span) string {
	return file + ":" + strconv.Itoa(int(s.Start.Line)) + ":" + strconv.Itoa(int(s.Start.Column))
}

func placeOf(o schema.Origin) string {
	if o.File == "" {
		return ""
	}
	return place(o.File, o.Span)
}

func sourcesOf(s *schema.Sources) []Source {
	all := make([]Source, 0, len(s.Names))
	for _, name := range s.Names {
		all = append(all, Source{Path: name, Text: s.Texts[name]})
	}
	return all
}

func settingsOf(c *schema.Config) Settings {
	s := Settings{
		PIDFile: c.System.PIDFile.V, StateDir: c.System.StateDir.V, AdminSocket: c.System.AdminSocket.V,
		Workers: int(c.System.WorkerThreads.V), MemoryMax: c.Limits.MaxMemory.V, ShutdownTimeout: c.System.ShutdownTimeout.V,
		MetricsAddress: c.Observability.Metrics.Address.V, MetricsPath: c.Observability.Metrics.Path.V,
		MetricsAt: placeOf(c.Observability.Metrics.Address.From), Incidents: IncidentSettingsOf(c),
		Regression: regressionOf(c),
		KernelBans: KernelBans{On: c.System.KernelBans.V != "off", Required: c.System.KernelBans.V == "required", At: placeOf(c.System.KernelBans.From)},
		Listeners: listen.Plan{
			MaxConnections: c.Limits.MaxConnections.V, MaxPerClient: c.Limits.MaxConnectionsPerClient.V,
			DrainLimit: c.System.ShutdownTimeout.V, Shadow: shadowOf(c.Limits.Shadow),
		},
	}
	for _, l := range c.Listeners {
		spec := listen.Spec{
			Name: l.Name.V, At: placeOf(l.From),
			MaxConnections: l.Limits.MaxConnections.V, MaxPerClient: l.Limits.MaxConnectionsPerClient.V, Secure: l.TLS != nil,
			Shadow: shadowOf(l.Limits.Shadow),
		}
		spec.Silent = l.Protocol.V == "tcp"
		if h := l.ProxyProtocol; h != nil {
			spec.Senders = sendersOf(h)
		}
		for _, a := range l.Addresses {
			spec.Addresses = append(spec.Addresses, a.V)
		}
		s.Listeners.Listeners = append(s.Listeners.Listeners, spec)
	}
	return s
}

// IncidentSettingsOf returns how a configuration keeps records of incidents.
func IncidentSettingsOf(c *schema.Config) IncidentSettings {
	i, l := &c.Observability.Incidents, &c.Observability.Logging
	s := IncidentSettings{Automatic: i.Automatic.V, Folder: i.Folder.V, Keep: int(i.Keep.V)}
	if l.File.V != "" {
		s.Logs = append(s.Logs, l.File.V)
	}
	if l.AccessLog.Enabled.V && l.AccessLog.File.V != "" {
		s.Logs = append(s.Logs, l.AccessLog.File.V)
	}
	return s
}

func shadowOf(l *schema.Limits) listen.Shadow {
	if l == nil {
		return listen.Shadow{}
	}
	return listen.Shadow{MaxConnections: l.MaxConnections.V, MaxPerClient: l.MaxConnectionsPerClient.V}
}

func sendersOf(h *schema.ProxyProtocol) *listen.Senders {
	s := &listen.Senders{Timeout: h.Timeout.V, Optional: h.Header.V == "optional", Others: h.Others.V == "plain"}
	for _, p := range h.From {
		s.From = append(s.From, block.Canonical(p.V))
	}
	return s
}

func routesOf(c *schema.Config) []admin.Route {
	all := make([]admin.Route, 0, len(c.Routes))
	for _, r := range c.Routes {
		all = append(all, admin.Route{Name: r.Name.V, Priority: r.Priority.V, Target: purposeOf(r)})
	}
	return all
}

// purposeOf says in words what a route does with a request.
func purposeOf(r *schema.Route) string {
	switch {
	case r.Disabled != nil:
		return fmt.Sprintf("disabled %d", r.Disabled.Status.V)
	case r.UseFallback.V:
		return fmt.Sprintf("fallback %q", r.Fallback.V)
	case r.Split != nil:
		var parts []string
		for _, u := range r.Split.Upstreams {
			parts = append(parts, fmt.Sprintf("%q (%d)", u.Name.V, u.Weight.V))
		}
		return "split " + strings.Join(parts, " ")
	case r.Redirect != nil:
		return fmt.Sprintf("redirect %d", r.Redirect.Status.V)
	case r.Respond != nil:
		return fmt.Sprintf("respond %d", r.Respond.Status.V)
	}
	return fmt.Sprintf("upstream %q", r.Upstream.V)
}

func upstreamsOf(c *schema.Config) []admin.Upstream {
	all := make([]admin.Upstream, 0, len(c.Upstreams))
	for _, u := range c.Upstreams {
		up := admin.Upstream{Name: u.Name.V, Targets: []admin.Target{}}
		for _, t := range u.Targets {
			up.Targets = append(up.Targets, admin.Target{Address: t.Address.V, Weight: t.Weight.V, State: admin.TargetUnknown})
		}
		all = append(all, up)
	}
	return all
}
