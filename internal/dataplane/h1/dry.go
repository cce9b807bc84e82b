package h1

import "sentinel/internal/dataplane/message"

// ParseHead parses a whole request head as a connection would, within the settings of its
// listener. The head's bytes are those of b. An error is a fault; incomplete is true where b
// holds no whole head.
func ParseHead(b []byte, s *Settings) (h message.Head, incomplete bool, err error) {
	lim := limits{headBytesMax: s.HeadBytesMax, fieldsMax: s.FieldsMax, targetBytesMax: s.TargetBytesMax}
	done, err := parseRequest(b, &h, &lim)
	return h, !done, err
}
