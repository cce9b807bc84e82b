package tlstest

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"sentinel/internal/testkit/pki"
)

// responder answers for an authority; its status can be changed.
type responder struct {
	*httptest.Server
	status atomic.Int64
	asked  atomic.Int64
}

// garbage is a status of which the responder says nothing that makes sense.
const garbage = -1

func newResponder(t *testing.T, ca *pki.Authority) *responder {
	r := &responder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.asked.Add(1)
		b, _ := io.ReadAll(q.Body)
		question, err := ocsp.ParseRequest(b)
		if err != nil || r.status.Load() == garbage {
			io.WriteString(w, "nonsense")
			return
		}
		w.Write(ca.Respond(t, question.SerialNumber, int(r.status.Load()), time.Now().Add(time.Hour)))
	}))
	t.Cleanup(r.Close)
	return r
}

// stapled returns the status that a client is shown; nothing for none.
func (s *site) stapled(name string) []byte {
	s.t.Helper()
	nc, err := s.dial(&tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	return nc.ConnectionState().OCSPResponse
}

// A certificate that names a responder is shown with its answer, as long as that says good,
// and after a reload at once; unless that is switched off.
func TestStaple(t *testing.T) {
	root := pki.New(t, "Root")
	ca := root.Intermediate(t, "CA")
	r := newResponder(t, ca)
	s := &site{t: t, ca: ca, dir: t.TempDir()}
	request := pki.Server("a.example")
	request.OCSP = r.URL
	leaf := ca.Issue(t, request)
	leaf.Write(t, s.dir, "server")
	s.issue("without", "b.example", "b.example")
	s.run(`cert-file "$F/server.crt"; key-file "$F/server.key"; sni { cert-file "$F/without.crt"; key-file "$F/without.key" }`, "")
	await(t, "the status is shown", func() bool { return s.stapled("a.example") != nil })
	if said, err := ocsp.ParseResponseForCert(s.stapled("a.example"), leaf.Cert, ca.Cert); err != nil || said.Status != ocsp.Good {
		t.Errorf("shown: %+v, %v", said, err)
	}
	if s.stapled("b.example") != nil {
		t.Error("a certificate without a responder is shown with a status")
	}
	r.status.Store(garbage)
	if o := s.Reload(s.text); !o.OK || s.stapled("a.example") == nil {
		t.Errorf("after a reload no status is shown: %+v", o)
	}
	if r.asked.Load() != 1 {
		t.Errorf("the responder was asked %d times, want once", r.asked.Load())
	}
	off := s.config(`cert-file "$F/server.crt"; key-file "$F/server.key"; ocsp-staple #false`, "")
	if o := s.Reload(off); !o.OK || s.stapled("a.example") != nil {
		t.Errorf("a status is shown though that is switched off: %+v", o)
	}
}

// What a responder says that isn't good is not shown, and told once.
func TestStapleOfNothingGood(t *testing.T) {
	for status, says := range map[int64]string{ocsp.Revoked: "is revoked", ocsp.Unknown: "doesn't know", garbage: "can't be believed"} {
		ca := pki.New(t, "Root").Intermediate(t, "CA")
		r := newResponder(t, ca)
		r.status.Store(status)
		s := &site{t: t, ca: ca, dir: t.TempDir()}
		request := pki.Server("a.example")
		request.OCSP = r.URL
		ca.Issue(t, request).Write(t, s.dir, "server")
		s.run("", "")
		await(t, "the responder is asked", func() bool { return r.asked.Load() > 0 })
		if status, _, err := s.get(&tls.Config{ServerName: "a.example", InsecureSkipVerify: true}, "a.example"); status != 200 {
			t.Errorf("without a status to show = %d, %v", status, err)
		}
		if s.stapled("a.example") != nil {
			t.Errorf("status %d is shown", status)
		}
		if log := s.Logs(); strings.Count(log, "no status to show with a certificate") != 1 || !strings.Contains(log, says) {
			t.Errorf("status %d: log = %s", status, log)
		}
	}
}
