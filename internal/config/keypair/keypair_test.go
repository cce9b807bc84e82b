package keypair

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
)

func write(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	return pki.WriteFile(t, filepath.Join(dir, name), text)
}

// TestLoad checks what is told of each way in which two files are no pair.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	ca := pki.New(t, "ca")
	leaf, other := ca.Issue(t, pki.Server("A.example", "*.b.example")), ca.Issue(t, pki.Server("c.example"))
	cert, key := leaf.Write(t, dir, "good")
	_, otherKey := other.Write(t, dir, "other")
	sealed := write(t, dir, "sealed.key", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))
	old := write(t, dir, "old.key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")}))
	broken := write(t, dir, "broken.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	empty := write(t, dir, "empty", nil)
	both := write(t, dir, "both.pem", slices.Concat(leaf.CertPEM, leaf.KeyPEM))
	large := write(t, dir, "large", make([]byte, fileBytesMax+1))
	for _, test := range []struct{ cert, key, blames, says string }{
		{cert, key, "", ""},
		{both, both, "", ""},
		{cert, otherKey, otherKey, "it isn't the key of the certificate"},
		{key, cert, key, "it holds no certificate"},
		{cert, cert, cert, "it holds no private key"},
		{cert, sealed, sealed, "passphrase"},
		{cert, old, old, "passphrase"},
		{broken, key, broken, "can't be parsed"},
		{empty, key, empty, "it holds no certificate"},
		{cert, empty, empty, "it holds no private key"},
		{dir, key, dir, "it is no regular file"},
		{filepath.Join(dir, "none"), key, filepath.Join(dir, "none"), "can't be read: no such file"},
		{large, key, large, "it has more than"},
	} {
		p, problem := Load(test.cert, test.key)
		switch {
		case test.says == "" && problem != nil:
			t.Errorf("Load(%s, %s) = %v", test.cert, test.key, problem)
		case test.says == "":
			if got := p.Names(); !slices.Equal(got, []string{"a.example", "*.b.example"}) {
				t.Errorf("Names() = %q", got)
			}
		case problem == nil || problem.File != test.blames || !strings.Contains(problem.Message, test.says) || problem.Hint == "":
			t.Errorf("Load(%s, %s) = %+v, want %s blamed: %q", test.cert, test.key, problem, test.blames, test.says)
		}
	}
}

// TestLoadDir checks which files of a folder are taken for pairs.
func TestLoadDir(t *testing.T) {
	dir := t.TempDir()
	ca := pki.New(t, "ca")
	ca.Issue(t, pki.Server("b.example")).Write(t, dir, "b")
	a := ca.Issue(t, pki.Server("a.example"))
	write(t, dir, "a.pem", slices.Concat(a.CertPEM, a.KeyPEM))
	write(t, dir, "README.txt", []byte("x"))
	write(t, dir, ".hidden.crt", []byte("x"))
	pairs, problems := LoadDir(dir)
	var names []string
	for _, p := range pairs {
		names = append(names, p.Names()...)
	}
	if len(problems) > 0 || !slices.Equal(names, []string{"a.example", "b.example"}) {
		t.Errorf("LoadDir = %q, %v", names, problems)
	}
	write(t, dir, "alone.crt", a.CertPEM)
	write(t, dir, "lost.key", a.KeyPEM)
	if _, problems = LoadDir(dir); len(problems) != 2 || !strings.Contains(problems[0].Message, "no key beside it") || !strings.Contains(problems[1].Message, "no certificate beside it") {
		t.Errorf("LoadDir with halves = %v", problems)
	}
	for _, bad := range []string{t.TempDir(), filepath.Join(dir, "none")} {
		if _, problems := LoadDir(bad); len(problems) != 1 {
			t.Errorf("LoadDir(%s) = %v, want one problem", bad, problems)
		}
	}
}

// TestLoadAuthorities checks that only authorities are taken for some.
func TestLoadAuthorities(t *testing.T) {
	dir := t.TempDir()
	one, two := pki.New(t, "one"), pki.New(t, "two")
	file := write(t, dir, "both", slices.Concat(one.PEM(), two.PEM()))
	if all, p := LoadAuthorities(file); p != nil || len(all) != 2 {
		t.Errorf("LoadAuthorities = %d, %v", len(all), p)
	}
	leaf, key := one.Issue(t, pki.Client("c")).Write(t, dir, "leaf")
	for file, says := range map[string]string{leaf: "none of an authority", key: "no certificate", filepath.Join(dir, "none"): "can't be read"} {
		if _, p := LoadAuthorities(file); p == nil || !strings.Contains(p.Message, says) {
			t.Errorf("LoadAuthorities(%s) = %v, want %q", file, p, says)
		}
	}
}

// TestLoadRevoked checks which lists are believed.
func TestLoadRevoked(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	ca, stranger := pki.New(t, "ca"), pki.New(t, "ca") // of the same name
	leaf := ca.Issue(t, pki.Client("c"))
	good := ca.Revoke(t, filepath.Join(dir, "good"), now.Add(time.Hour), leaf)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	der := write(t, dir, "der", block.Bytes)
	for _, file := range []string{good, der} {
		if lists, p := LoadRevoked(file, ca.Chain(), now); p != nil || len(lists) != 1 || len(lists[0].RevokedCertificateEntries) != 1 {
			t.Errorf("LoadRevoked(%s) = %v, %v", file, lists, p)
		}
	}
	for file, says := range map[string]string{
		stranger.Revoke(t, filepath.Join(dir, "strange"), now.Add(time.Hour)): "signed by nobody",
		ca.Revoke(t, filepath.Join(dir, "late"), now.Add(-time.Hour)):         "ended at",
		write(t, dir, "empty", nil):                                           "can't be parsed",
		write(t, dir, "pem", ca.PEM()):                                        "holds no list",
		filepath.Join(dir, "none"):                                            "can't be read",
	} {
		if _, p := LoadRevoked(file, ca.Chain(), now); p == nil || !strings.Contains(p.Message, says) {
			t.Errorf("LoadRevoked(%s) = %v, want %q", file, p, says)
		}
	}
}
