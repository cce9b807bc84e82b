package schema

import (
	"path/filepath"
	"strings"
)

// GeoIP names the databases that know where addresses are.
type GeoIP struct {
	Block
	CountryDatabase Value[string] // path; unset: none
	ASNDatabase     Value[string] // likewise
	Log             Value[bool]
}

func geoIPBlock() blockDef {
	return blockDef{
		name: "geoip",
		doc: "Databases in the format of MaxMind that know where addresses are, for `allow-country`, `deny-asn` and the like in `access` and for the access log. " +
			"They are read whole at start and at each reload; one that can't be read refuses the configuration. See [geoip.md](../geoip.md).",
		keys: []Key{
			{
				Name: "country-database", Kind: Text, check: checkFile, Doc: "file with the countries of addresses, relative to the file that names it",
				slot: value(func(g *GeoIP) any { return &g.CountryDatabase }),
			},
			{
				Name: "asn-database", Kind: Text, check: checkFile, Doc: "file with the autonomous systems of addresses",
				slot: value(func(g *GeoIP) any { return &g.ASNDatabase }),
			},
			{
				Name: "log", Kind: Bool, Default: "#false", Doc: "write country and asn of clients into the access log",
				slot: value(func(g *GeoIP) any { return &g.Log }),
			},
		},
		finish: func(d *decoder, b any) {
			if g := b.(*GeoIP); !d.tried(g, "country-database", "asn-database") {
				d.errorAt(g.From, "geoip has no database").hint(`add country-database "/var/lib/GeoIP/GeoLite2-Country.mmdb"`)
			}
		},
	}
}

// databases has relative paths begin where the file that names them is.
func (l *loader) databases() {
	g := l.cfg.GeoIP
	if g == nil {
		return
	}
	for _, path := range []*Value[string]{&g.CountryDatabase, &g.ASNDatabase} {
		if path.IsSet() && !filepath.IsAbs(path.V) {
			path.V = filepath.Join(filepath.Dir(path.From.File), path.V)
		}
	}
}

// placeKeys are the keys of access that need a database.
func placeKeys() []Key {
	const letters, number = "two letters (ISO 3166-1)", "numbers of autonomous systems"
	return []Key{
		{
			Name: "allow-country", Kind: Texts, Many: true, check: checkCountry, Doc: "countries whose clients are let in, each by " + letters + "; unknown addresses aren't",
			slot: value(func(a *Access) any { return &a.AllowCountries }),
		},
		{
			Name: "deny-country", Kind: Texts, Many: true, check: checkCountry, Doc: "countries whose clients aren't let in",
			slot: value(func(a *Access) any { return &a.DenyCountries }),
		},
		{
			Name: "allow-asn", Kind: Ints, Min: 1, Max: 1<<32 - 1, Many: true, Doc: number + " whose clients are let in",
			slot: value(func(a *Access) any { return &a.AllowASNs }),
		},
		{
			Name: "deny-asn", Kind: Ints, Min: 1, Max: 1<<32 - 1, Many: true, Doc: number + " whose clients aren't let in",
			slot: value(func(a *Access) any { return &a.DenyASNs }),
		},
	}
}

func checkCountry(s string) (problem, hint string) {
	letter := func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' }
	if len(s) != 2 || strings.ContainsFunc(s, letter) {
		return "is no country", `write two letters of ISO 3166-1, such as "DE"`
	}
	return "", ""
}

// places reports rules about places that no database knows.
func (d *decoder) places(a *Access, g *GeoIP) {
	var first []sourcedKey
	for _, list := range [][]Value[string]{a.AllowCountries, a.DenyCountries} {
		if len(list) > 0 {
			first = append(first, sourcedKey{"country-database", list[0].From})
		}
	}
	for _, list := range [][]Value[int64]{a.AllowASNs, a.DenyASNs} {
		if len(list) > 0 {
			first = append(first, sourcedKey{"asn-database", list[0].From})
		}
	}
	for _, k := range first {
		if g == nil || !d.tried(g, k.name) {
			d.errorAt(k.from, "nobody knows where addresses are: geoip names no %s", k.name).
				hint(`add geoip { %s "/var/lib/GeoIP/FILE.mmdb" } at top level`, k.name)
		}
	}
}
