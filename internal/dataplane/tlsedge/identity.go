package tlsedge

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"sentinel/internal/dataplane/message"
)

// identityBytesMax bounds each text about a client certificate: what goes on in fields must
// fit into the head limits of upstreams.
const identityBytesMax = 8 << 10

// identityOf says who a client is by its certificate, which has been verified. What can't
// stand in a field value is escaped; what is too long is left out rather than cut.
func identityOf(c *x509.Certificate) *message.Identity {
	sum := sha256.Sum256(c.Raw)
	id := &message.Identity{
		Subject: fieldText(c.Subject.String()), Issuer: fieldText(c.Issuer.String()),
		Serial: []byte(hex.EncodeToString(c.SerialNumber.Bytes())), Fingerprint: []byte(hex.EncodeToString(sum[:])),
		Names: fieldText(strings.Join(namesOf(c), ", ")),
	}
	if n := base64.StdEncoding.EncodedLen(len(c.Raw)) + 2; n <= identityBytesMax {
		id.Certificate = append(base64.StdEncoding.AppendEncode(append(make([]byte, 0, n), ':'), c.Raw), ':')
	}
	return id
}

// namesOf returns the alternative names of c, each with its kind. A comma, which parts them, is
// escaped in a name.
func namesOf(c *x509.Certificate) []string {
	var all []string
	add := func(kind, name string) { all = append(all, kind+":"+strings.ReplaceAll(name, ",", "%2C")) }
	for _, n := range c.DNSNames {
		add("DNS", n)
	}
	for _, n := range c.EmailAddresses {
		add("email", n)
	}
	for _, n := range c.IPAddresses {
		add("IP", n.String())
	}
	for _, n := range c.URIs {
		add("URI", n.String())
	}
	return all
}

// fieldText returns s as a field value (RFC 9110 section 5.5): bytes outside of visible ASCII
// and space, and the percent sign before which they are written, are escaped.
func fieldText(s string) []byte {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		if c < ' ' || c >= 127 {
			b = append(b, '%', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	if len(b) > identityBytesMax {
		return nil
	}
	return b
}
