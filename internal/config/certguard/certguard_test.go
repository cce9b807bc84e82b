package certguard

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"sentinel/internal/testkit/pki"
)

// chain parses what a leaf's file holds.
func chain(t *testing.T, text []byte) (c Chain) {
	t.Helper()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		c = append(c, cert)
	}
	return c
}

func TestFind(t *testing.T) {
	now := time.Now()
	root, stranger := pki.New(t, "root"), pki.New(t, "stranger")
	between := root.Intermediate(t, "between")
	leaf := between.Issue(t, pki.Server("www.example.com", "*.shop.example.com", "192.0.2.7"))
	whole := chain(t, leaf.CertPEM)
	usual := pki.Request{Hosts: []string{"www.example.com"}}
	for _, tt := range []struct {
		name string
		c    Chain
		role Role
		host string
		at   time.Time
		want Defect
	}{
		{"valid", whole, Server, "www.example.com", now, None},
		{"another case", whole, Server, "WWW.example.com", now, None},
		{"address", whole, Server, "192.0.2.7", now, None},
		{"wildcard", whole, Server, "*.shop.example.com", now, None},
		{"below the wildcard", whole, Server, "a.shop.example.com", now, None},
		{"no host", whole, Server, "", now, None},
		{"other host", whole, Server, "www.example.org", now, WrongName},
		{"other wildcard", whole, Server, "*.example.com", now, WrongName},
		{"a day too late", whole, Server, "www.example.com", whole[0].NotAfter.Add(24 * time.Hour), Expired},
		{"a day too early", whole, Server, "www.example.com", whole[0].NotBefore.Add(-24 * time.Hour), NotYetValid},
		{"ten years later", whole, Server, "", now.Add(11 * 365 * 24 * time.Hour), Expired},
		{"of a server, as a client", whole, Client, "", now, WrongUse},
		{"of a client, as a server", chain(t, root.Issue(t, pki.Client("c")).CertPEM), Server, "", now, WrongUse},
		{"of no use in particular", chain(t, root.Issue(t, usual).CertPEM), Client, "", now, None},
		{"behind a stranger", append(whole[:1:1], stranger.Cert), Server, "", now, BrokenChain},
		{"upside down", Chain{whole[0], root.Cert, whole[1]}, Server, "", now, BrokenChain},
		{"with its root", append(whole[:2:2], root.Cert), Server, "", now, None},
		{"authority", Chain{root.Cert}, Authority, "", now, None},
		{"one of the authorities is left", Chain{root.Cert, whole[0]}, Authority, "", whole[0].NotAfter.Add(time.Hour), None},
		{"no authority is left", Chain{root.Cert}, Authority, "", root.Cert.NotAfter.Add(time.Hour), Expired},
	} {
		if got := Find(tt.c, tt.role, tt.host, tt.at); got != tt.want {
			t.Errorf("%s: Find = %b, want %b", tt.name, got, tt.want)
		}
	}
}

func TestExpiry(t *testing.T) {
	now := time.Now()
	root := pki.New(t, "root")
	leaf := func(days int) *x509.Certificate {
		return root.Issue(t, pki.Server("a").Until(now.Add(time.Duration(days)*24*time.Hour))).Cert
	}
	long, short, gone := leaf(60), leaf(10), leaf(-5)
	for _, tt := range []struct {
		name string
		c    Chain
		role Role
		want time.Time
	}{
		{"one", Chain{long}, Server, long.NotAfter},
		{"the first to end", Chain{long, short}, Server, short.NotAfter},
		{"the root doesn't count", Chain{root.Cert, root.Cert}, Client, root.Cert.NotAfter},
		{"the next authority", Chain{gone, long, short}, Authority, short.NotAfter},
		{"all over", Chain{gone}, Authority, gone.NotAfter},
	} {
		if got := Expiry(tt.c, tt.role, now); !got.Equal(tt.want) {
			t.Errorf("%s: Expiry = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	end := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	c := Chain{pki.New(t, "root").Issue(t, pki.Server("a").Until(end)).Cert}
	for _, tt := range []struct {
		d    Defect
		want string
	}{
		{Expired, "it expired at 2026-03-04T05:06:07Z"},
		{NotYetValid, "it isn't valid before 2025-12-04T05:06:07Z"},
		{Expired | WrongName, "it expired at 2026-03-04T05:06:07Z"},
		{BrokenChain, "the certificates behind it in the file aren't those that issued it"},
		{WrongUse | WrongName, "it may not be used for that"},
		{WrongName, "it isn't for b"},
		{None, "nothing is wrong with it"},
	} {
		if got := Describe(c, tt.d, "b", end.Add(time.Hour)); got != tt.want {
			t.Errorf("Describe(%b) = %q, want %q", tt.d, got, tt.want)
		}
	}
}
