package compile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"sentinel/internal/config/schema"
	"sentinel/internal/dataplane/geo"
)

// placesBytesMax bounds one database: those with cities have about 70 MB.
const placesBytesMax = 1 << 30

// places are the databases that were read last. A file that hasn't changed since isn't read
// again: a check and the build after it, or a reload for something else, find it here.
type places struct {
	number atomic.Uint32 // of databases that were made
	mu     struct {
		sync.Mutex
		files map[string]placesFile
	}
}

type placesFile struct {
	info fs.FileInfo
	file *geo.File
}

// places opens the databases of the configuration. One that can't be used is refused: a list
// that can't be asked must not let anybody in.
func (b *builder) places() {
	g := b.cfg.GeoIP
	if g == nil {
		return
	}
	b.snap.LogPlaces = g.Log.V
	countries := b.placesFile(g.CountryDatabase, "countries", func(c, _ bool) bool { return c })
	systems := b.placesFile(g.ASNDatabase, "autonomous systems", func(_, s bool) bool { return s })
	b.snap.Places = geo.NewDatabase(countries, systems, uint16(b.live.places.number.Add(1)))
}

// placesFile opens one database, which must hold what it is for.
func (b *builder) placesFile(path schema.Value[string], what string, enough func(countries, systems bool) bool) *geo.File {
	if !path.IsSet() {
		return nil
	}
	b.next.places = append(b.next.places, path.V)
	f, err := b.live.places.open(path.V)
	if err != nil {
		b.problem(path.From, "database %q can't be read: %v", path.V, err)
		return nil
	}
	countries, systems, err := f.Holds()
	switch {
	case err != nil:
		b.problem(path.From, "database %q can't be used: %v", path.V, err)
	case !enough(countries, systems):
		b.problem(path.From, "database %q (%s) holds no %s", path.V, f.Describe(), what)
	}
	return f
}

func (p *places) open(path string) (*geo.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() > placesBytesMax:
		return nil, fmt.Errorf("it has more than %d bytes", placesBytesMax)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.mu.files[path]; ok && os.SameFile(old.info, info) && old.info.Size() == info.Size() && old.info.ModTime().Equal(info.ModTime()) {
		return old.file, nil
	}
	content, err := readSized(path, info.Size())
	if err != nil {
		return nil, err
	}
	f, err := geo.NewFile(content)
	if err != nil {
		return nil, err
	}
	if p.mu.files == nil {
		p.mu.files = make(map[string]placesFile)
	}
	p.mu.files[path] = placesFile{info, f}
	return f, nil
}

// keep forgets the files that the configuration which serves doesn't name.
func (p *places) keep(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for path := range p.mu.files {
		if !slices.Contains(names, path) {
			delete(p.mu.files, path)
		}
	}
}

// readSized reads a file of that size.
func readSized(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := make([]byte, size)
	_, err = io.ReadFull(f, content)
	return content, err
}

// placeRules returns what a block says about places; nil where that is nothing.
func placeRules(a *schema.Access) *geo.Rules {
	return geo.NewRules(geo.Lists{
		AllowCountries: countriesOf(a.AllowCountries), DenyCountries: countriesOf(a.DenyCountries),
		AllowSystems: systemsOf(a.AllowASNs), DenySystems: systemsOf(a.DenyASNs),
	})
}

func countriesOf(list []schema.Value[string]) (out []geo.Country) {
	for _, v := range list {
		if c, ok := geo.ParseCountry([]byte(v.V)); ok {
			out = append(out, c)
		}
	}
	return out
}

func systemsOf(list []schema.Value[int64]) (out []uint32) {
	for _, v := range list {
		out = append(out, uint32(v.V))
	}
	return out
}
