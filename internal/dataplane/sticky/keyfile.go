package sticky

import "sentinel/internal/dataplane/keyfile"

// ParseKeys reads a key file (see package keyfile). The first key seals, all open.
func ParseKeys(file []byte) (*Keys, error) {
	raw, err := keyfile.Parse(file)
	if err != nil {
		return nil, err
	}
	return newKeys(raw)
}

// GenerateKeys returns the text of a new key file with one random key.
func GenerateKeys() []byte {
	return keyfile.Generate("# Keys of sticky cookies, one a line. The first seals, all open.\n" +
		"# To rotate: add a new key above, drop the old one when its cookies are past.\n")
}
