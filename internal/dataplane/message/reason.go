package message

import "net/http"

// ReasonPhrase returns the usual reason phrase of a status code, or nothing.
func ReasonPhrase(status int) string { return http.StatusText(status) }
