package message

// EqualFold reports whether b equals lower, letter case of ASCII aside. lower must
// be in lower case.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		if lowerByte(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}

// NextToken splits the first element off a comma-separated list (RFC 9110 section
// 5.6.1) and returns it without surrounding white space, with the rest of the list.
// Empty elements come back empty.
func NextToken(list []byte) (token, rest []byte) {
	token = list
	for i, c := range list {
		if c == ',' {
			token, rest = list[:i], list[i+1:]
			break
		}
	}
	return TrimSpace(token), rest
}

// TrimSpace cuts optional white space (space and tab, RFC 9110 section 5.6.3) from
// both ends of b.
func TrimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
