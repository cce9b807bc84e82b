package challenge

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
	return keyfile.Generate("# Keys of challenges, one a line. The first seals, all open.\n" +
		"# To rotate: add a new key below on every proxy, then move it to the top on every proxy,\n" +
		"# and drop the old one when the tokens it sealed are past.\n")
}
