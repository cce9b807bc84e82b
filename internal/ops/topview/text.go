package topview

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// text returns s as it may be shown: in one line, nothing in it means anything to a terminal
// or changes the direction of writing.
func text(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), `\\`, `\`)
}

// fit returns s in exactly n columns, cut with "~" or filled with spaces.
func fit(s string, n int) string {
	w := lipgloss.Width(s)
	if w <= n {
		return s + strings.Repeat(" ", n-w)
	}
	return cut(s, n)
}

// cut returns s in at most n columns. It is for texts without styles.
func cut(s string, n int) string {
	if lipgloss.Width(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	w, end := 0, 0
	for i, r := range s {
		c := lipgloss.Width(string(r))
		if w+c > n-1 {
			break
		}
		w, end = w+c, i+len(string(r))
	}
	return s[:end] + "~" + strings.Repeat(" ", n-1-w)
}

// cutAt returns the beginning of s that takes at most n columns.
func cutAt(s string, n int) string {
	w := 0
	for i, r := range s {
		if w += lipgloss.Width(string(r)); w > n {
			return s[:i]
		}
	}
	return s
}

// right returns s at the right of n columns.
func right(s string, n int) string {
	if w := lipgloss.Width(s); w < n {
		return strings.Repeat(" ", n-w) + s
	}
	return cut(s, n)
}

// rate returns a rate in few characters: "0", "0.25", "12.5", "1234", "12.3k".
func rate(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 0.095:
		return fmt.Sprintf("%.2f", x)
	case x < 99.95:
		return fmt.Sprintf("%.1f", x)
	case x < 9999.5:
		return fmt.Sprintf("%.0f", x)
	case x < 999500:
		return fmt.Sprintf("%.1fk", x/1000)
	}
	return fmt.Sprintf("%.1fM", x/1e6)
}

// percent returns a share of 0 to 1: "0%", "0.04%", "12%".
func percent(x float64) string {
	x *= 100
	switch {
	case x == 0:
		return "0%"
	case x < 0.095:
		return fmt.Sprintf("%.2f%%", x)
	case x < 9.95:
		return fmt.Sprintf("%.1f%%", x)
	}
	return fmt.Sprintf("%.0f%%", x)
}

// millis returns a latency: "-", "0.4ms", "48ms", "1.2s".
func millis(ms float64) string {
	switch {
	case ms <= 0:
		return "-"
	case ms < 9.95:
		return fmt.Sprintf("%.1fms", ms)
	case ms < 999.5:
		return fmt.Sprintf("%.0fms", ms)
	case ms < 99950:
		return fmt.Sprintf("%.1fs", ms/1000)
	}
	return fmt.Sprintf("%.0fs", ms/1000)
}

// span returns a duration in its two largest units: "45s", "12m", "3h05m", "4d02h".
func span(d time.Duration) string {
	d = max(d, 0)
	s := int(d.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm", s/60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// graph draws the last values as columns of some height, the highest row first. A value of
// more than 0 shows at least a dot.
func graph(values []float64, width, height int, top float64) []string {
	values = values[max(0, len(values)-width):]
	rows := make([]string, height)
	for i := range rows {
		var b strings.Builder
		b.WriteString(strings.Repeat(" ", width-len(values)))
		for _, v := range values {
			b.WriteByte(cell(v, top, height, height-1-i))
		}
		rows[i] = b.String()
	}
	return rows
}

// cell returns what a column of v shows in a row, counted from below.
func cell(v, top float64, height, row int) byte {
	const steps = " .:|"
	if v <= 0 || top <= 0 {
		return ' '
	}
	level := int(v/top*float64(3*height)+0.5) - 3*row
	if row == 0 {
		level = max(level, 1)
	}
	return steps[max(0, min(level, 3))]
}

func highest(values []float64) float64 {
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	return top
}
