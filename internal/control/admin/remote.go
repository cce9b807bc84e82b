package admin

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Remote says how the admin API of another machine is reached.
type Remote struct {
	URL      string // "https://proxy.example.com:9443"
	CertFile string // what is shown, PEM
	KeyFile  string
	CAFile   string // authorities that the server is believed by, PEM; "" are those of this machine
}

// NewRemoteClient is NewClient for another machine. Its error says which of the files or the
// URL can't be used.
func NewRemoteClient(r Remote, timeout time.Duration) (*Client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("%q is no address of an admin API: write https://HOST:PORT", r.URL)
	}
	if r.CertFile == "" || r.KeyFile == "" {
		return nil, fmt.Errorf("the admin API at %s wants a client certificate: name its files by --admin-cert and --admin-key", r.URL)
	}
	pair, err := tls.LoadX509KeyPair(r.CertFile, r.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}
	if r.CAFile != "" {
		text, err := os.ReadFile(r.CAFile)
		if err != nil {
			return nil, fmt.Errorf("authorities: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("authorities: %s holds no certificate", r.CAFile)
		}
	}
	transport := &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true, ResponseHeaderTimeout: timeout, TLSHandshakeTimeout: timeout}
	base := strings.TrimSuffix(r.URL, "/")
	return &Client{base: base, what: "admin API", at: base, timeout: timeout, http: http.Client{Transport: transport}}, nil
}
