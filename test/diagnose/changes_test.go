package diagnose

import (
	"fmt"
	"os"
	"time"

	"sentinel/internal/observe/series"
	"sentinel/internal/testkit/program"
)

// reload loads a configuration and reports whether it serves.
func (w *world) reload(text string) bool {
	w.Helper()
	w.write(text)
	o, err := w.admin().Reload(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return o.OK
}

func changes() []incident {
	return []incident{
		{
			name: "invalid file at reload", code: "config-invalid", severity: "SEV4", evidence: `config\.kdl:1:\d+: .*nowhere`, also: "reload-failed",
			plant: func(w *world) {
				w.start(answering)
				w.await("the backup is there", func() bool { return exists(w.config() + ".backup") })
				if w.reload(`routes { route "r" { upstream "nowhere" } }`) {
					w.Error("the reload succeeded")
				}
			},
			mend: func(w *world, r report) {
				w.paste(r, "sentinel rollback --serving")
				if r := w.diagnose(); r.Exit != 0 {
					w.Errorf("after the mitigation: %s", r)
				}
			},
		},
		{
			name: "file not loaded", code: "config-not-loaded", severity: "SEV4", evidence: `respond`,
			plant: func(w *world) {
				w.start(answering)
				w.write(`routes { route "r" { respond 204 } }`)
			},
			mend: func(w *world, r report) {
				w.paste(r, "sentinel reload")
				w.gone("config-not-loaded")
			},
		},
		{
			name: "reload that raised errors", code: "reload-regression", severity: "SEV1", evidence: `changed: .*target`, also: "upstream-refused",
			plant: func(w *world) {
				text := `routes { route "r" { upstream "u" } }
					upstreams { upstream "u" { target %q } }`
				w.start(fmt.Sprintf(text, well(w)))
				w.load(20*time.Millisecond, "/", home)
				w.await("a step of the series is over", func() bool {
					s, err := w.admin().Series(w.Context(), time.Minute, series.Step)
					return err == nil && len(s.Moments) > 1
				})
				if !w.reload(fmt.Sprintf(text, program.FreeAddress(w))) {
					w.Fatal("the reload failed")
				}
				w.await("failures", func() bool {
					t, err := w.admin().Top(w.Context(), "faults", time.Minute, 10)
					return err == nil && t.Total >= 50
				})
			},
			mend: func(w *world, r report) {
				w.paste(r, "rollback --dry-run", "rollback --config")
				w.await("it serves as before", func() bool { return w.get("127.0.0.1", "/") == 200 })
			},
		},
		{
			name: "route disabled", code: "route-disabled", severity: "SEV2", evidence: `reason "locks the database"`,
			plant: func(w *world) {
				w.start(`routes { route "reports" { matches { path-prefix "/reports" }; respond 200 "x" }
					route "r" { respond 200 "x" } }`)
				if out, err := w.shell("sentinel emergency disable-route reports --reason 'locks the database' --config " + w.config()); err != nil {
					w.Fatal(out)
				}
				w.load(20*time.Millisecond, "/", home)
				w.load(20*time.Millisecond, "/reports", home)
				w.awaitFaults("route_disabled", 20)
			},
			mend: func(w *world, r report) {
				w.paste(r, "emergency revert")
				w.await("it answers", func() bool { return w.get("127.0.0.1", "/reports") == 200 })
				w.gone("route-disabled")
			},
		},
		{
			name: "ban of an important prefix", code: "ban-important", severity: "SEV2", evidence: `loopback`,
			plant: func(w *world) {
				w.start(answering)
				if out, err := w.shell("sentinel ban 127.0.0.0/8 --force --reason 'bot net' --config " + w.config()); err != nil {
					w.Fatal(out)
				}
				w.load(20*time.Millisecond, "/", home)
				w.await("the ban is hit", func() bool {
					b, err := w.admin().Bans(w.Context())
					return err == nil && len(b) == 1 && b[0].Hits > 5
				})
			},
			mend: func(w *world, r report) {
				w.paste(r, "sentinel unban")
				w.await("clients are let in", func() bool { return w.get("127.0.0.1", "/") == 200 })
			},
		},
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
