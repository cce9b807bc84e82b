package kdl

// editList holds changes to a source text, in the order of the text.
type editList []edit

type edit struct {
	start, end int // bytes of the source that text stands in for
	text       string
}

// appendTo appends source with the edits to dst.
func (l editList) appendTo(dst, source []byte) []byte {
	at := 0
	for _, e := range l {
		dst = append(dst, source[at:e.start]...)
		dst = append(dst, e.text...)
		at = e.end
	}
	return append(dst, source[at:]...)
}
