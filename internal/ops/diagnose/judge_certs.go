package diagnose

import (
	"fmt"
	"time"

	"sentinel/internal/config/certguard"
	"sentinel/internal/control/admin"
	"sentinel/internal/dataplane/fault"
)

// judgeCertificates looks at the files, and at what is in use.
func judgeCertificates(f *facts) []Finding {
	var out []Finding
	told := make(map[string]bool) // by code and file
	add := func(r Finding, file string) {
		if key := r.Code + " " + file; !told[key] {
			told[key] = true
			out = append(out, r)
		}
	}
	for i := range f.running.certs {
		c := &f.running.certs[i]
		if r := f.judgeInUse(c); r != nil {
			add(*r, c.File)
		}
	}
	for i := range f.certs {
		c := &f.certs[i]
		if r := f.judgeFile(c); r != nil {
			add(*r, c.file)
		}
	}
	return out
}

// soonest is how near an end is worth a word: two weeks, or a tenth of its time where that is
// shorter.
func soon(left, lasts time.Duration) bool { return left < min(14*24*time.Hour, lasts/10) }

// veryNear is when the end of a certificate can't wait for the next working day.
const veryNear = 72 * time.Hour

// judgeInUse judges a certificate that is shown now.
func (f *facts) judgeInUse(c *admin.Certificate) *Finding {
	left := c.NotAfter.Sub(f.now)
	where := fmt.Sprintf("%s of %s %s", c.Role, c.Side, c.Name)
	evidence := []string{fmt.Sprintf("%s: %s, for %s, from %s to %s", c.File, where, clip(fmt.Sprint(c.Names), 80), day(c.NotBefore), day(c.NotAfter))}
	r := &Finding{Evidence: evidence, Commands: f.renewal(c.File, c.KeyFile)}
	switch {
	case left < 0 || f.now.Before(c.NotBefore):
		r.Code, r.What = "certificate-expired", fmt.Sprintf("the certificate %s (%s) expired %s ago", c.File, where, ago(-left))
		if f.now.Before(c.NotBefore) {
			r.What = fmt.Sprintf("the certificate %s (%s) isn't valid before %s", c.File, where, day(c.NotBefore))
		}
		if c.Role == certguard.Authority.String() {
			r.Severity = SEV4
		}
		if f.freshOnDisk(c.File) {
			r.Evidence = append(r.Evidence, "the file on disk holds a valid one: it has only to be loaded")
			r.Commands = []Command{{"load it", f.command("reload")}}
		}
	case c.Problem != "":
		r.Code, r.What = "certificate-broken", fmt.Sprintf("peers won't believe the certificate %s (%s): %s", c.File, where, c.Problem)
	case soon(left, c.NotAfter.Sub(c.NotBefore)) && c.Role != certguard.Authority.String():
		r.Code, r.What = "certificate-expires-soon", fmt.Sprintf("the certificate %s (%s) expires in %s", c.File, where, ago(left))
		if left < veryNear {
			r.Severity = SEV3
		}
	default:
		return nil
	}
	return r
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// freshOnDisk reports whether the file holds a certificate in its time by now.
func (f *facts) freshOnDisk(file string) bool {
	for _, c := range f.certs {
		if c.file == file && c.problem == nil && !c.expired {
			return true
		}
	}
	return false
}

// renewal returns what to do about a certificate.
func (f *facts) renewal(cert, key string) []Command {
	out := []Command{{"look at it", "openssl x509 -noout -subject -issuer -dates -in " + Word(cert)}}
	if key != "" {
		out = append(out,
			Command{"put the renewed one in its place", "install -m 644 NEW.crt " + Word(cert) + " && install -m 600 NEW.key " + Word(key)},
			Command{"check it before it serves", f.opt.Prefix + " --validate --config " + Word(f.opt.ConfigFile)})
	}
	if f.up() {
		return append(out, Command{"load it", f.command("reload")}, Command{"see that it is in use", f.command("certs")})
	}
	return append(out, f.startCommand("start sentinel"))
}

// judgeFile judges a file of the configuration as a start would.
func (f *facts) judgeFile(c *certificate) *Finding {
	where := fmt.Sprintf("of %s %s", c.side, c.name)
	r := &Finding{Commands: f.renewal(c.file, c.keyFile)}
	if !f.up() {
		r.Severity = SEV1
	}
	switch {
	case c.mismatch:
		r.Code, r.What = "certificate-key-mismatch", fmt.Sprintf("the key %s isn't that of the certificate %s (%s)", c.keyFile, c.file, where)
		r.Evidence = []string{c.problem.Error()}
		r.Commands = append([]Command{{"the key that the certificate is for", "openssl x509 -noout -pubkey -in " + Word(c.file)}, {"the key in the file", "openssl pkey -pubout -in " + Word(c.keyFile)}}, r.Commands[1:]...)
	case c.missing:
		r.Code, r.What = "certificate-missing", fmt.Sprintf("the file %s %s can't be read: %v", c.problem.File, where, c.problem.Err)
		r.Evidence = []string{c.problem.Error() + "; " + c.problem.Hint}
		r.Commands = append([]Command{{"what is there", "ls -la " + Word(dirOf(c.problem.File))}}, r.Commands[1:]...)
	case c.problem != nil:
		r.Code, r.What = "certificate-missing", fmt.Sprintf("the file %s %s can't be used: %s", c.problem.File, where, c.problem.Message)
		r.Evidence = []string{c.problem.Error() + "; " + c.problem.Hint}
	case f.running.err == nil && len(f.running.certs) > 0:
		return nil // what is in use has been judged
	case c.expired:
		r.Code, r.Severity, r.What = "certificate-expired", Well, fmt.Sprintf("the certificate %s (%s): %s", c.file, where, c.defect)
		r.Evidence = []string{"it ends " + day(c.ends)}
	case c.defect != "":
		r.Code, r.Severity, r.What = "certificate-broken", Well, fmt.Sprintf("peers won't believe the certificate %s (%s): %s", c.file, where, c.defect)
	case c.role != certguard.Authority && soon(c.ends.Sub(f.now), c.lasts):
		r.Code, r.Severity, r.What = "certificate-expires-soon", Well, fmt.Sprintf("the certificate %s (%s) expires in %s", c.file, where, ago(c.ends.Sub(f.now)))
	default:
		return nil
	}
	return r
}

// judgeClientTLS says that clients don't get through their handshakes.
func judgeClientTLS(f *facts) []Finding {
	n := f.faultCount(fault.TLSHandshake) + f.faultCount(fault.ClientCertificate)
	if share := f.share(n); n < countLeast || share < 0.1 {
		return nil
	}
	return []Finding{{
		Code: "client-tls", What: fmt.Sprintf("%d TLS handshakes of clients failed in the last minute", n),
		Evidence: []string{fmt.Sprintf("%d handshakes broke off, %d for the client's own certificate", f.faultCount(fault.TLSHandshake), f.faultCount(fault.ClientCertificate))},
		Commands: []Command{{"which certificates are shown", f.command("certs")}, {"who fails", "journalctl -u sentinel --since -5m | grep -i 'tls' | tail"}},
	}}
}
