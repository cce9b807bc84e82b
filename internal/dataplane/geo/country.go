package geo

// Country is a country by its two letters (ISO 3166-1 alpha-2): 0 is none, the others are
// numbered from AA, which is 1, to ZZ.
type Country uint16

const (
	letters   = 26
	countries = letters*letters + 1
)

// ParseCountry reads two letters, in either case. ok is false for anything else.
func ParseCountry(code []byte) (c Country, ok bool) {
	if len(code) != 2 {
		return 0, false
	}
	a, b := code[0]|0x20, code[1]|0x20
	if a < 'a' || a > 'z' || b < 'a' || b > 'z' {
		return 0, false
	}
	return 1 + Country(a-'a')*letters + Country(b-'a'), true
}

// codes holds the letters of all countries, one behind the other.
var codes = buildCodes()

func buildCodes() string {
	b := make([]byte, 0, 2*letters*letters)
	for i := range letters {
		for j := range letters {
			b = append(b, 'A'+byte(i), 'A'+byte(j))
		}
	}
	return string(b)
}

// String returns the two letters in upper case; nothing of none.
func (c Country) String() string {
	if c == 0 || c >= countries {
		return ""
	}
	return codes[2*(c-1) : 2*c]
}

// Place is where an address is; the zero value is unknown.
type Place struct {
	Country Country
	ASN     uint32 // 0 is unknown
}
