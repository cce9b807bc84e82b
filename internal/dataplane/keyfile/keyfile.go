// Package keyfile reads and makes files of secret keys: a few keys of 32 bytes, one a line, in
// base64 or hexadecimal. '#' begins a comment. The first key seals what leaves the process, all
// open what comes back, so that keys can be rotated on a fleet without a break.
//
// Who uses a key derives its own from it, so that one file may serve several purposes.
package keyfile

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
	// KeysMax is how many keys a file may hold: the one that seals and those still honoured.
	KeysMax = 4
	// KeyLen is the length of a key in bytes.
	KeyLen = 32
)

// Parse returns the keys of a file, 1 to KeysMax of KeyLen bytes, in its order. Errors name the
// line and never show what stands there.
func Parse(file []byte) ([][]byte, error) {
	var keys [][]byte
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
		for _, other := range keys {
			if subtle.ConstantTimeCompare(one, other) == 1 {
				return nil, fmt.Errorf("line %d: the key stands in the file already", number)
			}
		}
		if keys = append(keys, one); len(keys) > KeysMax {
			return nil, fmt.Errorf("line %d: more than %d keys", number, KeysMax)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key: want 1 to 4 keys of 32 bytes in base64 or hexadecimal, one a line")
	}
	return keys, nil
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
	case len(key) != KeyLen:
		return nil, fmt.Errorf("the key has %d bytes, want %d", len(key), KeyLen)
	case bytes.Equal(key, make([]byte, KeyLen)):
		return nil, errors.New("the key is all zeros")
	}
	return key, nil
}

// Generate returns the text of a new file with one random key, behind head: whole lines of
// comment.
func Generate(head string) []byte {
	key := make([]byte, KeyLen)
	rand.Read(key) // never fails
	return []byte(head + base64.StdEncoding.EncodeToString(key) + "\n")
}
