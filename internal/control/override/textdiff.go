package override

import (
	"fmt"
	"strings"

	"sentinel/internal/control/history"
)

const (
	// around is how many lines are shown around a change.
	around = 2
	// cellsMax bounds the table of a comparison; above it all lines between the first and the
	// last change are shown as changed.
	cellsMax = 4 << 20
)

// DiffTexts returns what changes between the texts of a configuration, as diff -u shows it.
// Both have the same files in the same order.
func DiffTexts(before, after []history.Source) string {
	var b strings.Builder
	for i, s := range before {
		if string(s.Text) != string(after[i].Text) {
			fmt.Fprintf(&b, "--- %s\n+++ %s\n", s.Path, s.Path)
			hunks(&b, lines(string(s.Text)), lines(string(after[i].Text)))
		}
	}
	return b.String()
}

// lines cuts a text into lines, their ends left out.
func lines(text string) []string {
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// line is one line of a comparison: of both texts, of the first or of the second.
type line struct {
	sign byte // ' ', '-' or '+'
	text string
}

// compare returns the lines of both texts in order, with as few changes as there can be.
func compare(a, b []string) (list []line) {
	first := 0
	for first < min(len(a), len(b)) && a[first] == b[first] {
		first++
	}
	last := 0
	for last < min(len(a), len(b))-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	list = appendLines(list, ' ', a[:first])
	list = between(list, a[first:len(a)-last], b[first:len(b)-last])
	return appendLines(list, ' ', a[len(a)-last:])
}

func appendLines(list []line, sign byte, texts []string) []line {
	for _, s := range texts {
		list = append(list, line{sign, s})
	}
	return list
}

// between compares by the longest common run of lines, of which common holds the lengths.
func between(list []line, a, b []string) []line {
	if len(a)*len(b) > cellsMax {
		return appendLines(appendLines(list, '-', a), '+', b)
	}
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			list = append(list, line{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[(i+1)*width+j] >= common[i*width+j+1]:
			list = append(list, line{'-', a[i]})
			i++
		default:
			list = append(list, line{'+', b[j]})
			j++
		}
	}
	return list
}

// hunks writes the changes with the lines around them.
func hunks(w *strings.Builder, a, b []string) {
	list := compare(a, b)
	shown := make([]bool, len(list))
	for i, l := range list {
		if l.sign != ' ' {
			for k := max(0, i-around); k < min(len(list), i+around+1); k++ {
				shown[k] = true
			}
		}
	}
	atA, atB := 1, 1
	for i := 0; i < len(list); {
		if !shown[i] {
			atA, atB, i = atA+1, atB+1, i+1
			continue
		}
		end, inA, inB := i, 0, 0
		for ; end < len(list) && shown[end]; end++ {
			if list[end].sign != '+' {
				inA++
			}
			if list[end].sign != '-' {
				inB++
			}
		}
		fmt.Fprintf(w, "@@ -%d,%d +%d,%d @@\n", atA, inA, atB, inB)
		for _, l := range list[i:end] {
			fmt.Fprintf(w, "%c%s\n", l.sign, l.text)
		}
		atA, atB, i = atA+inA, atB+inB, end
	}
}
