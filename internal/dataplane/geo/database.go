package geo

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"
)

// File is one database as it was read.
type File struct{ reader *maxminddb.Reader }

// NewFile reads a database in the format of MaxMind. It keeps content, which must not change.
func NewFile(content []byte) (*File, error) {
	r, err := maxminddb.OpenBytes(content, maxminddb.DisableStringCache())
	if err != nil {
		return nil, err
	}
	return &File{reader: r}, nil
}

// kindScan is how many records are looked at to tell what a database holds.
const kindScan = 1000

// Holds reports what a database knows, by its first records.
func (f *File) Holds() (countries, systems bool, err error) {
	n := 0
	for result := range f.reader.Networks() {
		var r record
		if err := result.Decode(&r); err != nil {
			return false, false, err
		}
		countries = countries || r.country != 0 || r.registered != 0
		systems = systems || r.asn != 0
		if n++; n == kindScan || countries && systems {
			break
		}
	}
	if n == 0 {
		return false, false, errors.New("it holds no network")
	}
	return countries, systems, nil
}

// Describe returns type and age of a database in words.
func (f *File) Describe() string {
	m := &f.reader.Metadata
	return fmt.Sprintf("%s of %s", m.DatabaseType, m.BuildTime().UTC().Format("2006-01-02"))
}

// Database finds the place of addresses. It is immutable.
type Database struct {
	countries, systems *File // nil for none
	number             uint16
}

// NewDatabase returns a database over files, either of which may be nil. number tells it from
// those before it, so that a Memo of theirs isn't taken for its own.
func NewDatabase(countries, systems *File, number uint16) *Database {
	return &Database{countries: countries, systems: systems, number: number}
}

// Locate returns where a is, as far as that is known. Of nil nothing is.
func (d *Database) Locate(a netip.Addr) (p Place) {
	if d == nil {
		return Place{}
	}
	a = a.Unmap().WithZone("")
	if d.countries != nil {
		r := d.countries.look(a)
		if p.Country = r.country; p.Country == 0 {
			p.Country = r.registered
		}
	}
	if d.systems != nil {
		p.ASN = d.systems.look(a).asn
	}
	return p
}

var records = sync.Pool{New: func() any { return new(record) }}

// look returns what the file says of an address; nothing where it is broken.
func (f *File) look(a netip.Addr) (found record) {
	r := records.Get().(*record)
	*r = record{}
	if f.reader.Lookup(a).Decode(r) == nil {
		found = *r
	}
	records.Put(r)
	return found
}

// record is what matters of one record of either kind of database.
type record struct {
	country, registered Country
	asn                 uint32
}

// UnmarshalMaxMindDBCursor implements mmdbdata.CursorUnmarshaler. Whatever a value is read
// for, the reader goes on behind it by skipping it.
func (r *record) UnmarshalMaxMindDBCursor(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	entries, err := c.Map()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	var next mmdbdata.Cursor
	for {
		key, value, ok := entries.Next(next)
		if !ok {
			return entries.End()
		}
		switch string(key) {
		case "country":
			r.country, err = readCountry(value)
		case "registered_country":
			r.registered, err = readCountry(value)
		case "autonomous_system_number":
			var n uint64
			n, _, err = value.ReadUint()
			r.asn = uint32(n)
		}
		if err != nil {
			return mmdbdata.Cursor{}, err
		}
		if next, err = value.Skip(); err != nil {
			return mmdbdata.Cursor{}, err
		}
	}
}

// readCountry reads the code of a country's map.
func readCountry(c mmdbdata.Cursor) (Country, error) {
	entries, err := c.Map()
	if err != nil {
		return 0, err
	}
	var next mmdbdata.Cursor
	for {
		key, value, ok := entries.Next(next)
		if !ok {
			return 0, nil
		}
		if string(key) == "iso_code" {
			code, _, err := value.ReadMapKey() // which copies nothing
			found, _ := ParseCountry(code)
			return found, err
		}
		if next, err = value.Skip(); err != nil {
			return 0, err
		}
	}
}
