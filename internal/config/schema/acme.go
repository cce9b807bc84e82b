package schema

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// ACME says who issues certificates, and how it is shown that a name is ours.
type ACME struct {
	Block
	Directory  Value[string]
	Email      Value[string]
	AgreeTerms Value[bool]
	CAFile     Value[string]
	Storage    Value[string] // unset: folder acme of the state folder
	KeyType    Value[string]
	Challenges []Value[string] // none: http-01 and tls-alpn-01, or dns-01 where DNS is set
	DNS        *DNSWebhook     // nil when not written
	Binding    *ACMEBinding    // likewise
}

// DNSWebhook sets and removes DNS records that prove names.
type DNSWebhook struct {
	Block
	URL       Value[string]
	TokenFile Value[string]
	Wait      Value[time.Duration]
}

// ACMEBinding is an account that exists at the authority.
type ACMEBinding struct {
	Block
	KeyID      Value[string]
	MACKeyFile Value[string]
}

func acmeBlocks() []blockDef {
	return []blockDef{acmeBlock(), dnsWebhookBlock(), bindingBlock()}
}

func acmeBlock() blockDef {
	return blockDef{
		name: "acme",
		doc: "An authority that issues and renews the certificates of the names in `acme` of listeners, by RFC 8555. " +
			"Nothing waits for it: handshakes for a name are refused until its certificate is there. See [acme.md](../acme.md).",
		keys: []Key{
			{
				Name: "directory", Kind: Text, check: checkWebURL, Default: "https://acme-v02.api.letsencrypt.org/directory",
				Doc: "URL of the authority's directory", slot: value(func(a *ACME) any { return &a.Directory }),
			},
			{Name: "email", Kind: Text, check: checkEmail, Doc: "where the authority writes to", slot: value(func(a *ACME) any { return &a.Email })},
			{
				Name: "agree-to-terms", Kind: Bool, Required: true, Doc: "you agree to the terms of the authority; it issues nothing otherwise",
				slot: value(func(a *ACME) any { return &a.AgreeTerms }),
			},
			{
				Name: "ca-file", Kind: Text, check: checkFile, Doc: "authorities that the directory's own certificate is believed by, PEM; without it, those of the system",
				slot: value(func(a *ACME) any { return &a.CAFile }),
			},
			{
				Name: "storage", Kind: Text, check: checkFile,
				Doc:  "folder of accounts, keys and certificates; without it, `acme` in the state folder. Proxies that share one order each certificate once and prove names for each other",
				slot: value(func(a *ACME) any { return &a.Storage }),
			},
			{
				Name: "key-type", Kind: Enum, Words: []string{"p256", "p384", "rsa2048", "rsa4096"}, Default: "p256", Doc: "what kind of key certificates get",
				slot: value(func(a *ACME) any { return &a.KeyType }),
			},
			{
				Name: "challenge", Aliases: []string{"challenges"}, Kind: Texts, Many: true, Words: []string{"http-01", "tls-alpn-01", "dns-01"},
				Doc:  "how it is shown that a name is ours: by a request on port 80, by a handshake on port 443, or by a DNS record; without it, the first two, or dns-01 with a `dns-webhook`",
				slot: value(func(a *ACME) any { return &a.Challenges }),
			},
			{
				Name: "dns-webhook", Kind: Opens, Opens: "dns-webhook", Doc: "who sets the DNS records of dns-01",
				slot: optional(func(a *ACME) **DNSWebhook { return &a.DNS }),
			},
			{
				Name: "account-binding", Aliases: []string{"eab"}, Kind: Opens, Opens: "account-binding", Doc: "an account that exists at the authority already",
				slot: optional(func(a *ACME) **ACMEBinding { return &a.Binding }),
			},
		},
		finish: finishACME,
	}
}

func dnsWebhookBlock() blockDef {
	return blockDef{
		name: "dns-webhook",
		doc:  "A service that sets DNS records: it gets `{\"action\": \"present\" or \"cleanup\", \"name\": ..., \"value\": ...}` by POST for each TXT record and answers 2xx once that is done.",
		keys: []Key{
			{Name: "url", Kind: Text, Required: true, check: checkWebURL, Doc: "where the requests go", slot: value(func(w *DNSWebhook) any { return &w.URL })},
			{
				Name: "token-file", Kind: Text, check: checkFile, Doc: "file with a token that is sent as `Authorization: Bearer`",
				slot: value(func(w *DNSWebhook) any { return &w.TokenFile }),
			},
			{
				Name: "wait-secs", Kind: Seconds, Unit: "seconds", Min: 1, Max: 3600, Default: "30", Label: "wait for DNS records",
				Doc: "until all servers of the zone have a record", slot: value(func(w *DNSWebhook) any { return &w.Wait }),
			},
		},
	}
}

func bindingBlock() blockDef {
	return blockDef{
		name: "account-binding",
		doc:  "An account that exists at the authority, by RFC 8555 section 7.3.4.",
		keys: []Key{
			{Name: "key-id", Kind: Text, Required: true, Doc: "as the authority tells it", slot: value(func(b *ACMEBinding) any { return &b.KeyID })},
			{
				Name: "mac-key-file", Kind: Text, Required: true, check: checkFile, Doc: "file with the key that the authority gave, base64url",
				slot: value(func(b *ACMEBinding) any { return &b.MACKeyFile }),
			},
		},
	}
}

// finishACME reports what can't work together.
func finishACME(d *decoder, b any) {
	a := b.(*ACME)
	if a.AgreeTerms.IsSet() && !a.AgreeTerms.V {
		d.errorAt(a.AgreeTerms.From, "the authority issues nothing to those who don't agree to its terms").hint("write agree-to-terms #true once you have read them, or remove acme")
	}
	dns := slices.ContainsFunc(a.Challenges, func(c Value[string]) bool { return c.V == "dns-01" })
	switch {
	case dns && a.DNS == nil:
		d.errorAt(a.From, "dns-01 needs somebody who sets records").hint(`add dns-webhook { url "http://127.0.0.1:8053/records" }`)
	case !dns && a.DNS != nil && len(a.Challenges) > 0:
		d.errorAt(a.DNS.From, "dns-webhook has no effect without dns-01").hint(`add "dns-01" to challenge, or remove dns-webhook`)
	}
}

// issuers reports names that nobody issues certificates for or that can't be proven, and an
// authority that has nothing to issue.
func (d *decoder) issuers(c *Config) {
	var plain, any bool
	for _, l := range c.Listeners {
		plain = plain || l.TLS == nil
	}
	for _, l := range c.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, name := range l.TLS.ACME {
			any = true
			d.provable(c.ACME, name, plain)
		}
	}
	if c.ACME != nil && !any {
		d.errorAt(c.ACME.From, "acme has no effect: no listener has names to issue certificates for").
			hint(`add acme "www.example.com" to the tls of a listener, or remove the block`)
	}
}

func (d *decoder) provable(a *ACME, name Value[string], plain bool) {
	if a == nil {
		d.errorAt(name.From, "nobody issues a certificate for %q", name.V).hint("add acme { agree-to-terms #true } at top level")
		return
	}
	http, alpn, dns := a.Proofs()
	switch {
	case strings.HasPrefix(name.V, "*.") && !dns:
		d.errorAt(name.From, "a certificate for %q needs the challenge dns-01", name.V).hint(`add dns-webhook { url "..." } to acme`)
	case http && !alpn && !dns && !plain:
		d.errorAt(name.From, "%q can't be proven: http-01 needs a listener without TLS", name.V).hint(`add one that port 80 leads to, or "tls-alpn-01" to challenge`)
	}
}

// Proofs reports how names may be proven.
func (a *ACME) Proofs() (http, alpn, dns bool) {
	if len(a.Challenges) == 0 {
		return a.DNS == nil, a.DNS == nil, a.DNS != nil
	}
	for _, c := range a.Challenges {
		switch c.V {
		case "http-01":
			http = true
		case "tls-alpn-01":
			alpn = true
		case "dns-01":
			dns = true
		}
	}
	return http, alpn, dns
}

func checkWebURL(text string) (problem, hint string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return "is no URL of the web", `write "https://HOST/PATH"`
	}
	if u.User != nil {
		return "holds a user or a password, which would show in logs and commands", "move it to a file"
	}
	return "", ""
}

func checkEmail(text string) (problem, hint string) {
	name, host, ok := strings.Cut(text, "@")
	if !ok || name == "" || host == "" || strings.ContainsAny(text, " \t\r\n,;<>\"") {
		return "is no e-mail address", `write "ops@example.com"`
	}
	return "", ""
}
