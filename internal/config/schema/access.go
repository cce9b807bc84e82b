package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"sentinel/internal/config/kdl"
)

// Access says which clients are let in. The nearest block holds as a whole.
type Access struct {
	Block
	Allow      []Value[netip.Prefix]
	Deny       []Value[netip.Prefix]
	AllowFiles []Value[string] // relative ones are taken from the file that names them
	DenyFiles  []Value[string]
	Mode       Value[string] // "enforce" or "shadow"

	// Countries by their two letters, and numbers of autonomous systems.
	AllowCountries, DenyCountries []Value[string]
	AllowASNs, DenyASNs           []Value[int64]

	// Allowed and Denied are all prefixes of the keys and of the files. Allowed is nil where
	// no key allows anything; an empty file allows nobody.
	Allowed, Denied []netip.Prefix
}

func accessBlock() blockDef {
	return blockDef{
		name: "access",
		doc: "Which clients are let in. The longest prefix that holds a client's address decides, `allow` before `deny` of the same length; then its autonomous system, then its country; " +
			"where anything is allowed, everybody else is denied. The nearest block holds as a whole: that of the route, else of the listener, else of the top level. " +
			"Requests of clients that are denied are answered 403. Where no route has a block of its own, peers outside of `trusted-proxies` that are denied are reset when they connect, " +
			"but 127.0.0.1 and ::1, which always reach `/health` and `/ready`. See [bans.md](../bans.md).",
		keys: append(accessKeys(), placeKeys()...), finish: finishAccess,
	}
}

func accessKeys() []Key {
	return []Key{
		{
			Name: "allow", Kind: Prefixes, Many: true, Doc: "clients that are let in, and nobody else",
			slot: value(func(a *Access) any { return &a.Allow }),
		},
		{
			Name: "deny", Kind: Prefixes, Many: true, Doc: "clients that aren't let in",
			slot: value(func(a *Access) any { return &a.Deny }),
		},
		{
			Name: "allow-file", Kind: Texts, Many: true, check: checkFile,
			Doc:  "file of addresses and prefixes for `allow`, one a line with comments after `#`, relative to the file that names it; read at start and reload",
			slot: value(func(a *Access) any { return &a.AllowFiles }),
		},
		{
			Name: "deny-file", Kind: Texts, Many: true, check: checkFile, Doc: "the same for `deny`",
			slot: value(func(a *Access) any { return &a.DenyFiles }),
		},
		{
			Name: "mode", Kind: Enum, Words: []string{"enforce", "shadow"}, Default: "enforce", Doc: "shadow counts the requests that would be denied in `sentinel_shadowed_total` and lets them in",
			slot: value(func(a *Access) any { return &a.Mode }),
		},
	}
}

// finishAccess refuses a block that says nothing.
func finishAccess(d *decoder, b any) {
	a := b.(*Access)
	if !d.tried(a, "allow", "deny", "allow-file", "deny-file", "allow-country", "deny-country", "allow-asn", "deny-asn") {
		d.errorAt(a.From, "access lists nobody").
			hint(`add allow or deny; to let everybody in here, write allow "0.0.0.0/0" "::/0"`)
	}
}

const (
	// accessBytesMax bounds one file of prefixes, accessBytesSum all of a configuration.
	accessBytesMax = 64 << 20
	accessBytesSum = 256 << 20
	// accessProblemsMax bounds the problems of one file that are told.
	accessProblemsMax = 20
)

// accessLists completes every access block by what its files list.
func (l *loader) accessLists() {
	var all []*Access
	add := func(a *Access) {
		if a != nil {
			all = append(all, a)
		}
	}
	add(l.cfg.Access)
	for _, x := range l.cfg.Listeners {
		add(x.Access)
	}
	for _, x := range l.cfg.Routes {
		add(x.Access)
	}
	read := 0
	for _, a := range all {
		l.d.places(a, l.cfg.GeoIP)
		if len(a.Allow)+len(a.AllowFiles)+len(a.AllowCountries)+len(a.AllowASNs) > 0 {
			a.Allowed = []netip.Prefix{}
		}
		for _, p := range a.Allow {
			a.Allowed = append(a.Allowed, p.V)
		}
		for _, p := range a.Deny {
			a.Denied = append(a.Denied, p.V)
		}
		for i := range a.AllowFiles {
			a.Allowed = l.prefixFile(&a.AllowFiles[i], "allow-file", a.Allowed, &read)
		}
		for i := range a.DenyFiles {
			a.Denied = l.prefixFile(&a.DenyFiles[i], "deny-file", a.Denied, &read)
		}
	}
}

// prefixFile appends the prefixes of one file, a value of key. read counts the bytes of all.
func (l *loader) prefixFile(file *Value[string], key string, list []netip.Prefix, read *int) []netip.Prefix {
	if !filepath.IsAbs(file.V) {
		file.V = filepath.Join(filepath.Dir(file.From.File), file.V)
	}
	text, err := l.readPrefixes(file.V)
	if *read += len(text); err == nil && *read > accessBytesSum {
		err = fmt.Errorf("all files of prefixes together have more than %d bytes", accessBytesSum)
	}
	if err != nil {
		l.d.errorAt(file.From, "%s %q can't be read: %v", key, file.V, err).hint("check the path and its permissions: nobody is let in or kept out by a guess")
		return list
	}
	problems := 0
	for number, line := 1, []byte(nil); len(text) > 0 && problems < accessProblemsMax; number++ {
		line, text, _ = bytes.Cut(text, []byte("\n"))
		word, _, _ := bytes.Cut(line, []byte("#"))
		entry := strings.TrimSpace(string(word))
		if entry == "" {
			continue
		}
		p, err := parsePrefix(entry)
		if err == nil {
			list = append(list, p)
			continue
		}
		problems++
		at := kdl.Span{Start: kdl.Pos{Line: int32(number), Column: 1}, End: kdl.Pos{Line: int32(number), Column: 1}}
		l.d.problem(kdl.Errorf(file.V, at, "%s is neither an IP address nor a CIDR prefix", excerptOf(entry))).
			hint(`write one a line, such as "192.0.2.7" or "10.0.0.0/8"; a comment begins with #`).related(file.From, "the file is named here")
	}
	return list
}

// excerptOf quotes what stands in a line, which may be anything.
func excerptOf(entry string) string {
	const max = 64
	if len(entry) > max {
		return fmt.Sprintf("%q...", entry[:max])
	}
	return fmt.Sprintf("%q", entry)
}

// readPrefixes reads a file, which must be a regular one.
func (l *loader) readPrefixes(path string) ([]byte, error) {
	var f fs.File
	var err error
	if l.files != nil {
		f, err = l.files.Open(path)
	} else {
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // to open a pipe may wait for ever
			return nil, errors.New("it is no regular file")
		}
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, accessBytesMax+1))
	if err == nil && len(text) > accessBytesMax {
		err = fmt.Errorf("it has more than %d bytes", accessBytesMax)
	}
	return text, errors.Join(err, f.Close())
}
