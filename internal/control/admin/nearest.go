package admin

import (
	"cmp"
	"slices"
	"strings"
)

const (
	// nearestMax is how many names are offered for an unknown one.
	nearestMax = 3
	// comparedBytesMax bounds the part of a name that is compared.
	comparedBytesMax = 128
)

// nearest returns the names most like name, the best first: those that hold it count as one
// edit away, others as their edits.
func nearest(name string, known []string) []string {
	type candidate struct {
		name  string
		edits int
	}
	list := make([]candidate, 0, len(known))
	for _, k := range known {
		n := edits(fold(name), fold(k))
		if name != "" && strings.Contains(fold(k), fold(name)) {
			n = 1
		}
		list = append(list, candidate{k, n})
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.edits, b.edits) })
	var out []string
	for _, c := range list[:min(len(list), nearestMax)] {
		out = append(out, c.name)
	}
	return out
}

func fold(s string) string { return strings.ToLower(s[:min(len(s), comparedBytesMax)]) }

// edits is the number of bytes to insert, remove or replace between a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
