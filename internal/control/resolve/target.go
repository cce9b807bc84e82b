package resolve

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Errors of sources and answers. They come wrapped, with the name or place.
var (
	// ErrNotFound is NXDOMAIN.
	ErrNotFound = errors.New("name does not exist")
	// ErrNoRecords is an answer without an error and without a usable record.
	ErrNoRecords = errors.New("name has no usable records")
	// ErrEmptyFile is a file that lists nothing.
	ErrEmptyFile = errors.New("file lists no targets")
	// ErrTooMany is more names than one process follows.
	ErrTooMany = errors.New("too many names are followed")
)

// target is host:port: an address, or a name to ask for.
type target struct {
	text   string     // as it was written
	addr   netip.Addr // valid: nothing to ask
	host   string     // lower case; a trailing dot stays
	port   uint16
	weight int
}

// parseTarget reads "host:port".
func parseTarget(text string) (target, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return target{}, fmt.Errorf("%q is not host:port", text)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '+' {
		return target{}, fmt.Errorf("%q: the port is not a number from 1 to 65535", text)
	}
	t := target{text: text, port: uint16(n), weight: 1}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return target{}, fmt.Errorf("%q: an address with a zone can't be a target", text)
		}
		t.addr = addr.Unmap()
		return t, nil
	}
	t.host = strings.ToLower(host)
	if !validHost(t.host) {
		return target{}, fmt.Errorf("%q: the host is neither an address nor a name", text)
	}
	return t, nil
}

// validHost reports whether a lower-case name can be asked for: labels of letters,
// digits, hyphens and underscores. A last label of digits alone is a broken address.
func validHost(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	letters := false
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		letters = false
		for _, c := range []byte(label) {
			switch {
			case c >= 'a' && c <= 'z', c == '-', c == '_':
				letters = true
			case c < '0' || c > '9':
				return false
			}
		}
	}
	return letters
}

// parseTargets reads a file of targets. Errors begin with file:line, as does the one for
// an empty list, which has no line.
func parseTargets(path string, data []byte) ([]target, error) {
	var targets []target
	lines := make(map[string]int)
	number := 0
	for line := range bytes.SplitSeq(bytes.TrimPrefix(data, []byte("\uFEFF")), []byte("\n")) {
		number++
		fail := func(err error) ([]target, error) { return nil, fmt.Errorf("%s:%d: %w", path, number, err) }
		if len(line) > lineBytesMax {
			return fail(fmt.Errorf("line is longer than %d bytes", lineBytesMax))
		}
		t, ok, err := parseLine(string(line))
		switch first := lines[t.text]; {
		case err != nil:
			return fail(err)
		case !ok:
			continue
		case first != 0:
			return fail(fmt.Errorf("%s stands in line %d already", t.text, first))
		case len(targets) == TargetsMax:
			return fail(fmt.Errorf("more than %d targets", TargetsMax))
		}
		lines[t.text] = number
		targets = append(targets, t)
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrEmptyFile)
	}
	return targets, nil
}

// parseLine reads one line; ok is false when it has no entry.
func parseLine(line string) (t target, ok bool, err error) {
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	if len(words) == 0 {
		return target{}, false, nil
	}
	if t, err = parseTarget(words[0]); err != nil {
		return target{}, false, err
	}
	if len(words) == 1 {
		return t, true, nil
	}
	value, found := strings.CutPrefix(words[1], "weight=")
	if !found || len(words) > 2 {
		return target{}, false, fmt.Errorf("%q is not weight=N", strings.Join(words[1:], " "))
	}
	weight, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return target{}, false, fmt.Errorf("weight %q is not a number from 0 to %d", value, WeightMax)
	}
	t.weight = int(weight)
	return t, true, nil
}
