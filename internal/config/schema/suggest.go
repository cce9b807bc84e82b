package schema

import (
	"slices"
	"strings"

	"sentinel/internal/config/kdl"
)

// suggestionsMax bounds how many unknown words are compared with all the known ones, so
// that a hopeless file is refused in linear time.
const suggestionsMax = 50

// unknown reports a key that the block doesn't have, with the nearest one that it has, or
// the blocks that have it.
func (d *decoder) unknown(s *spec, name string, at kdl.Span) {
	in := s.name
	if in == "" {
		in = "the top level"
	}
	p := d.errorSpan(at, "unknown key %q in %s", name, in)
	if d.suggested++; d.suggested > suggestionsMax {
		return
	}
	if homes := homesOf(name); len(homes) > 0 {
		p.hint("%q stands in: %s", name, strings.Join(homes, ", "))
		return
	}
	var known, spellings []string
	for _, k := range s.rows {
		if !k.ArgOnly {
			known = append(known, k.Name)
			spellings = append(append(spellings, k.Name), k.Aliases...)
		}
	}
	if near := nearest(spellings, name); near != "" {
		p.hint("did you mean %q?", near)
		return
	}
	p.hint("%s knows: %s", in, strings.Join(known, ", "))
}

// homesOf names the blocks that have a key of exactly that spelling.
func homesOf(name string) []string {
	var homes []string
	for _, def := range blockDefs() {
		k, _ := table()[def.name].row(name)
		if k == nil || k.ArgOnly {
			continue
		}
		if def.name == "" {
			homes = append(homes, "the top level")
		} else {
			homes = append(homes, def.name)
		}
	}
	return homes
}

// nearest returns the word that differs least from name, if it differs little; the earlier
// of two.
func nearest(words []string, name string) string {
	best, least := "", min(len(name)/2+1, 4)
	for _, w := range words {
		if n := distance(name, w); n < least {
			best, least = w, n
		}
	}
	return best
}

// wordBytesMax is the longest word that is compared letter by letter.
const wordBytesMax = 64

// distance is the number of single-letter edits, swaps of neighbours among them, between
// two words (optimal string alignment); a large number for long words.
func distance(a, b string) int {
	if max(len(a), len(b)) > wordBytesMax || len(a)-len(b) > 3 || len(b)-len(a) > 3 {
		return wordBytesMax
	}
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// withArticle puts the indefinite article before a word.
func withArticle(word string) string {
	if word != "" && slices.Contains([]byte("aeio"), word[0]) {
		return "an " + word
	}
	return "a " + word
}
