package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os/user"
	"strings"
	"time"

	"sentinel/internal/config/schema"
	"sentinel/internal/control/lifecycle"
	"sentinel/internal/ops/incident"

	"github.com/spf13/cobra"
)

// incidentFlags are the flags of all commands about incidents.
type incidentFlags struct {
	folder string // of all incidents
	id     string
}

func (a *app) incidentCommand() *cobra.Command {
	var f incidentFlags
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "Keep the record of an incident: what was known, done and told",
		Long: `Keep the record of an incident, a folder for each: snapshots of everything that is known
at a moment (status, events, metrics, logs, the configuration with its history and secrets
masked, top talkers, profiles, the state of the machine), notes with their times, messages
to those affected and the post-mortem, filled with what the record holds.

A sentinel that runs begins one by itself when it sees an outage (SEV1) or more than a tenth
of requests fail (SEV2); see 'incidents' in the configuration. These commands work with a
dead sentinel too: then what only it knew is missing.`,
		Example: `  sentinel incident start --severity SEV2 --summary "checkout fails" --service Checkout
  sentinel incident note "drained 10.0.0.2, errors fall"
  sentinel incident message update
  sentinel incident end && sentinel incident postmortem`,
		Args: a.noSuchCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("sentinel incident wants a command: start, snapshot, note, mark, message, end, postmortem, list or show")
		},
	}
	cmd.PersistentFlags().StringVar(&f.folder, "folder", "", "`FOLDER` of all incidents (default: that of the configuration)")
	cmd.PersistentFlags().StringVar(&a.socketFlag, "admin-socket", "", "admin socket `PATH` (default: that of the configuration)")
	cmd.AddCommand(a.incidentStart(&f), a.incidentSnapshot(&f), a.incidentNote(&f), a.incidentMark(&f), a.incidentMessage(&f),
		a.incidentEnd(&f), a.incidentPostMortem(&f), a.incidentList(&f), a.incidentShow(&f))
	return cmd
}

// idFlagOn lets cmd be about an incident other than the newest one that is open.
func idFlagOn(cmd *cobra.Command, f *incidentFlags) *cobra.Command {
	cmd.Flags().StringVar(&f.id, "id", "", "the incident `ID` (default: the newest that is open)")
	return cmd
}

// incidents returns the store and where snapshots come from. A configuration that is broken
// or not there leaves the defaults: that is when records matter most.
func (a *app) incidents(f *incidentFlags) (*incident.Store, *incident.From) {
	path := a.configFile()
	cfg, _, _ := schema.Load(path, schema.Options{})
	o := &cfg.Observability
	s := lifecycle.Settings{
		StateDir: cfg.System.StateDir.V, AdminSocket: a.socketFlag, Incidents: lifecycle.IncidentSettingsOf(cfg),
		MetricsAddress: o.Metrics.Address.V, MetricsPath: o.Metrics.Path.V,
	}
	if s.AdminSocket == "" {
		s.AdminSocket = cmp.Or(cfg.System.AdminSocket.V, defaultAdminSocket)
	}
	folder := cmp.Or(f.folder, s.Incidents.Folder, defaultIncidents)
	from := incident.FromSettings(&s, path)
	from.More = []incident.Source{diagnosisSource(a.diagnosis())}
	return &incident.Store{Folder: folder}, from
}

// defaultIncidents is the folder of a configuration that can't even be read.
const defaultIncidents = "/var/log/sentinel/incidents"

// caller names who calls: the login behind sudo, else the user.
func (a *app) caller() string {
	if name := a.getenv("SUDO_USER"); name != "" {
		return oneLine(name)
	}
	if u, err := user.Current(); err == nil {
		return oneLine(u.Username)
	}
	return "somebody"
}

func (a *app) incidentStart(f *incidentFlags) *cobra.Command {
	var severity, summary, service string
	var began time.Duration
	cmd := &cobra.Command{
		Use:     "start [--severity SEV2] [--summary S] [--service S]",
		Short:   "Declare an incident and take its first snapshot",
		Example: `  sentinel incident start --severity SEV1 --summary "all of checkout is down" --began 10m`,
		Args:    exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := incident.ParseSeverity(severity)
			if err != nil {
				return usageError{err}
			}
			store, from := a.incidents(f)
			if r, err := store.Find(""); err == nil {
				return fmt.Errorf("%s is open already: take it with 'sentinel incident note', or end it with 'sentinel incident end'", r.ID)
			} else if !errors.Is(err, incident.ErrNone) {
				return err
			}
			r := &incident.Record{Severity: s, Summary: summary, Service: service, By: a.caller(), Started: time.Now().UTC()}
			r.Mark(incident.MarkDetected, r.Started)
			if cmd.Flags().Changed("began") {
				r.Mark(incident.MarkOnset, r.Started.Add(-began))
			}
			from.Before(cmd.Context(), r, r.Started.Add(-began))
			if err := store.Create(r); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "%s %s declared; taking a snapshot ...\n", r.ID, r.Severity)
			r, taken, err := store.Snapshot(cmd.Context(), r.ID, a.caller(), from)
			if err != nil {
				return err
			}
			return a.printSnapshot(store, r, taken)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&severity, "severity", "SEV2", "how bad: `SEV` 1 to 4")
	flags.StringVar(&summary, "summary", "", "what is wrong, in a `SENTENCE`")
	flags.StringVar(&service, "service", "", "what those affected call it: `NAME`")
	flags.DurationVar(&began, "began", 0, "how long ago it began, as a `DURATION` (default: by the events; failed requests are then counted from now on)")
	return cmd
}

func (a *app) incidentSnapshot(f *incidentFlags) *cobra.Command {
	var archive bool
	cmd := &cobra.Command{
		Use:   "snapshot [--archive]",
		Short: "Take a snapshot of everything that is known now",
		Args:  exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, from := a.incidents(f)
			r, taken, err := store.Snapshot(cmd.Context(), f.id, a.caller(), from)
			if err != nil {
				return err
			}
			if err := a.printSnapshot(store, r, taken); err != nil || !archive {
				return err
			}
			path, err := store.Archive(r.ID)
			if err == nil && !a.json {
				_, err = fmt.Fprintf(a.out, "archive: %s\n", path)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&archive, "archive", false, "write the whole folder as one .tar.gz, too")
	return idFlagOn(cmd, f)
}

// printSnapshot says where a snapshot lies and what it lacks.
func (a *app) printSnapshot(store *incident.Store, r *incident.Record, t incident.Taken) error {
	if a.json {
		return a.printJSON(map[string]any{"id": r.ID, "path": store.Path(r.ID, t.Folder), "failed": t.Failed})
	}
	fmt.Fprintf(a.out, "%s: %s\n", r.ID, store.Path(r.ID, t.Folder))
	for _, line := range t.Failed {
		fmt.Fprintf(a.out, "  missing: %s\n", oneLine(line))
	}
	return nil
}

func (a *app) incidentNote(f *incidentFlags) *cobra.Command {
	return idFlagOn(&cobra.Command{
		Use:     "note TEXT...",
		Short:   "Write a note into the record",
		Example: `  sentinel incident note "database failed over, waiting"`,
		Args:    atLeastOne("TEXT"),
		RunE: func(_ *cobra.Command, args []string) error {
			store, _ := a.incidents(f)
			return a.updateIncident(store, f.id, "noted", func(r *incident.Record) error {
				return r.AddNote(time.Now().UTC(), a.caller(), strings.Join(args, " "))
			})
		},
	}, f)
}

func (a *app) incidentMark(f *incidentFlags) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "mark " + strings.Join(incident.Marks(), "|") + " [--at TIME]",
		Short: "Say when a moment was that the post-mortem measures by",
		Long: `Say when a moment was that the post-mortem measures by. Those that nobody tells are taken
from the events: the onset is the first change for the worse of the half hour before it was
detected; mitigated is the first change by hand that nothing got worse after.`,
		Example:   "  sentinel incident mark mitigated\n  sentinel incident mark onset --at 03:12",
		Args:      exactly(1, "one of "+strings.Join(incident.Marks(), ", ")),
		ValidArgs: incident.Marks(),
		RunE: func(_ *cobra.Command, args []string) error {
			when, err := momentOf(at, time.Now())
			if err != nil {
				return err
			}
			store, _ := a.incidents(f)
			return a.updateIncident(store, f.id, args[0]+" at "+when.Format(time.RFC3339), func(r *incident.Record) error { return r.Mark(args[0], when) })
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "a `TIME` (UTC) as 15:04 or 2006-01-02T15:04:05Z (default: now)")
	return idFlagOn(cmd, f)
}

// momentOf reads a time of the last day, or a whole one.
func momentOf(text string, now time.Time) (time.Time, error) {
	now = now.UTC()
	if text == "" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return t, usagef("--at %q is no time: write 15:04 or 2006-01-02T15:04:05Z", text)
	}
	t = time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	if t.After(now) {
		t = t.AddDate(0, 0, -1)
	}
	return t, nil
}

// updateIncident changes a record and says so.
func (a *app) updateIncident(store *incident.Store, id, done string, change func(*incident.Record) error) error {
	r, err := store.Update(id, change)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r)
	}
	_, err = fmt.Fprintf(a.out, "%s: %s\n", r.ID, done)
	return err
}
