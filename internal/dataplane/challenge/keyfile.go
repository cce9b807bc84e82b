package challenge

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// keysMax is how many keys a file may hold: the one that seals and those still honoured.
	keysMax = 4
	// keyLen is the length of a key in bytes.
	keyLen = 32
)

// ParseKeys reads a key file, in the form of those for sticky cookies: 1 to 4 keys of 32
// bytes, one a line, in base64 or hexadecimal. '#' begins a comment. The first key seals, all
// open. Errors name the line and never show what stands there.
func ParseKeys(file []byte) (*Keys, error) {
	var raw [][]byte
	number := 0
	for line := range bytes.SplitSeq(file, []byte("\n")) {
		number++
		text, _, _ := bytes.Cut(line, []byte("#"))
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		one, err := parseKey(string(text))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		for _, other := range raw {
			if subtle.ConstantTimeCompare(one, other) == 1 {
				return nil, fmt.Errorf("line %d: the key stands in the file already", number)
			}
		}
		if raw = append(raw, one); len(raw) > keysMax {
			return nil, fmt.Errorf("line %d: more than %d keys", number, keysMax)
		}
	}
	if len(raw) == 0 {
		return nil, errors.New("no key: want 1 to 4 keys of 32 bytes in base64 or hexadecimal, one a line")
	}
	return newKeys(raw)
}

func parseKey(text string) ([]byte, error) {
	key, err := hex.DecodeString(text)
	if err != nil {
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		key, err = base64.RawStdEncoding.DecodeString(plain)
	}
	switch {
	case err != nil:
		return nil, errors.New("neither base64 nor hexadecimal")
	case len(key) != keyLen:
		return nil, fmt.Errorf("the key has %d bytes, want %d", len(key), keyLen)
	case bytes.Equal(key, make([]byte, keyLen)):
		return nil, errors.New("the key is all zeros")
	}
	return key, nil
}

// GenerateKeys returns the text of a new key file with one random key.
func GenerateKeys() []byte {
	key := make([]byte, keyLen)
	rand.Read(key) // never fails
	const head = "# Keys of challenges, one a line. The first seals, all open.\n" +
		"# To rotate: add a new key below on every proxy, then move it to the top on every proxy,\n" +
		"# and drop the old one when the tokens it sealed are past.\n"
	return []byte(head + base64.StdEncoding.EncodeToString(key) + "\n")
}
