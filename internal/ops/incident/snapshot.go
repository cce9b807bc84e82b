package incident

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sentinel/internal/control/statefile"
)

const (
	// sourceTimeout bounds one source; all run at once.
	sourceTimeout = 15 * time.Second
	// partBytesMax bounds one file of a snapshot; what is beyond is left out and said so.
	partBytesMax = 64 << 20
	// snapshotsMax bounds the snapshots of one incident.
	snapshotsMax = 100
	manifestName = "manifest.json"
)

// Source gives one file of a snapshot.
type Source struct {
	Name string // path in the snapshot's folder
	// Write writes it until ctx ends; what it returns an error for is kept as far as it came.
	Write func(ctx context.Context, w io.Writer) error
}

// Part is one file of a snapshot in its manifest.
type Part struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	Millis int64  `json:"millis"`
	Cut    bool   `json:"cut,omitempty"`   // only the first part fitted
	Error  string `json:"error,omitempty"` // why it is missing or not whole
}

// errCut is what a writer returns that is full.
var errCut = errors.New("too large")

// take writes every source into folder, which it makes, and returns what became of each.
func take(ctx context.Context, folder string, sources []Source) ([]Part, error) {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, err
	}
	parts := make([]Part, len(sources))
	var all sync.WaitGroup
	for i, s := range sources {
		all.Go(func() { parts[i] = takePart(ctx, folder, s) })
	}
	all.Wait()
	text, err := json.MarshalIndent(parts, "", "  ")
	if err != nil {
		return nil, err
	}
	return parts, statefile.Replace(filepath.Join(folder, manifestName), append(text, '\n'), fileMode)
}

func takePart(ctx context.Context, folder string, s Source) Part {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	began := time.Now()
	p := Part{Name: s.Name}
	path := filepath.Join(folder, s.Name)
	err := os.MkdirAll(filepath.Dir(path), folderMode)
	if err == nil {
		err = writePart(ctx, path, s, &p)
	}
	p.Millis = time.Since(began).Milliseconds()
	if errors.Is(err, errCut) {
		p.Cut, err = true, nil
	}
	if err != nil {
		p.Error = err.Error()
	}
	if p.Bytes == 0 {
		os.Remove(path)
		p.Error = cmp.Or(p.Error, "empty")
	}
	return p
}

func writePart(ctx context.Context, path string, s Source, p *Part) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	w := &boundedWriter{w: f, left: partBytesMax}
	err = s.Write(ctx, w)
	p.Bytes = partBytesMax - w.left
	return errors.Join(err, f.Close())
}

// boundedWriter takes so many bytes and then returns errCut.
type boundedWriter struct {
	w    io.Writer
	left int64
}

// Write implements io.Writer.
func (b *boundedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) <= b.left {
		b.left -= int64(len(p))
		return b.w.Write(p)
	}
	n, err := b.w.Write(p[:b.left])
	b.left = 0
	return n, errors.Join(err, errCut)
}

// failures returns a line for each part that is missing.
func failures(parts []Part) []string {
	var list []string
	for _, p := range parts {
		if p.Error != "" {
			list = append(list, fmt.Sprintf("%s: %s", p.Name, p.Error))
		}
	}
	slices.Sort(list)
	return list
}

// Snapshot takes a snapshot into the folder of an incident, an empty id being the newest that
// is open, and keeps it in the record, with the counts of now.
func (s *Store) Snapshot(ctx context.Context, id, by string, f *From) (*Record, Taken, error) {
	r, err := s.Find(id)
	if err != nil {
		return nil, Taken{}, err
	}
	taken := Taken{At: time.Now().UTC(), By: by}
	r, err = s.Update(r.ID, func(r *Record) error { // the name is taken before the work begins
		if len(r.Snapshots) >= snapshotsMax {
			return fmt.Errorf("%s has %d snapshots already", r.ID, snapshotsMax)
		}
		taken.Folder = fmt.Sprintf("snapshot-%d", len(r.Snapshots)+1)
		r.Snapshots = append(r.Snapshots, taken)
		return nil
	})
	if err != nil {
		return nil, Taken{}, err
	}
	parts, err := take(ctx, s.Path(r.ID, taken.Folder), f.sources())
	if err != nil {
		return nil, Taken{}, err
	}
	taken.Failed = failures(parts)
	counts, counted := f.counts(ctx)
	r, err = s.Update(r.ID, func(r *Record) error {
		i := slices.IndexFunc(r.Snapshots, func(t Taken) bool { return t.Folder == taken.Folder })
		r.Snapshots[i] = taken
		if counted {
			r.Count(counts)
		}
		return nil
	})
	return r, taken, err
}
