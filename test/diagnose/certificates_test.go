package diagnose

import (
	"path/filepath"
	"time"

	"sentinel/internal/testkit/pki"
)

// certify puts a certificate in place.
func (w *world) certify(r pki.Request) {
	w.Helper()
	cert, key := pki.New(w, "ca").Issue(w, r).Write(w, w.dir, "issued")
	w.move(cert, filepath.Join(w.dir, "server.crt"))
	w.move(key, filepath.Join(w.dir, "server.key"))
}

func certificates() []incident {
	renew := func(w *world, r report) {
		w.certify(pki.Server("localhost"))
		w.paste(r, "sentinel reload")
		w.gone(r.Findings[0].Code)
	}
	return []incident{
		{
			name: "certificate expired", code: "certificate-expired", severity: "SEV2", evidence: `server\.crt.* expired 5 days ago`, mend: renew,
			plant: func(w *world) {
				w.certify(pki.Server("localhost").Until(time.Now().Add(-5*24*time.Hour - time.Minute)))
				w.start(secured)
			},
		},
		{
			name: "certificate about to expire", code: "certificate-expires-soon", severity: "SEV4", evidence: `expires in 5 days`, mend: renew,
			plant: func(w *world) {
				w.certify(pki.Server("localhost").Until(time.Now().Add(5*24*time.Hour + time.Hour)))
				w.start(secured)
			},
		},
		{
			name: "certificate for clients only", code: "certificate-broken", severity: "SEV3", evidence: `may not be used for that`, mend: renew,
			plant: func(w *world) { w.certify(pki.Client("localhost")); w.start(secured) },
		},
		{
			name: "renewed key of another certificate", code: "certificate-key-mismatch", severity: "SEV4", evidence: `server\.key`,
			plant: func(w *world) {
				w.certify(pki.Server("localhost"))
				w.start(secured)
				_, key := pki.New(w, "ca").Issue(w, pki.Server("localhost")).Write(w, w.dir, "issued")
				w.move(key, filepath.Join(w.dir, "server.key"))
			},
		},
	}
}
