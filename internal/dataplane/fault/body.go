package fault

import (
	"strconv"
)

// Form is the shape of a response body that the proxy writes itself.
type Form uint8

// The forms. FormText is what a client without a preference gets.
const (
	FormText Form = iota
	FormJSON
	FormHTML
)

// ContentType returns the Content-Type of f.
func (f Form) ContentType() string {
	switch f {
	case FormJSON:
		return "application/json"
	case FormHTML:
		return "text/html; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

// AppendBody appends the body of an answer with status for fault k: the status
// with its words, the fault's short code and the request id; to faults of the
// client's side the fixed text too, since it speaks of nothing but the client's
// own request. requestID is escaped for the form; it may be empty.
func AppendBody(dst []byte, k Kind, status int, requestID string, form Form) []byte {
	r := k.Row()
	detail := ""
	if r.Side == SideClient {
		detail = r.Text
	}
	switch form {
	case FormJSON:
		return appendJSON(dst, r.Code, detail, status, requestID)
	case FormHTML:
		return appendHTML(dst, r.Code, detail, status, requestID)
	}
	return appendText(dst, r.Code, detail, status, requestID)
}

func appendJSON(dst []byte, code, detail string, status int, id string) []byte {
	dst = append(dst, `{"status":`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, `,"title":"`...)
	dst = append(dst, Title(status)...)
	dst = append(dst, `","code":"`...)
	dst = append(dst, code...)
	if detail != "" {
		dst = append(dst, `","detail":"`...)
		dst = append(dst, detail...)
	}
	dst = append(dst, `","request_id":"`...)
	dst = appendEscaped(dst, id, FormJSON)
	return append(dst, "\"}\n"...)
}

func appendHTML(dst []byte, code, detail string, status int, id string) []byte {
	dst = append(dst, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>"...)
	dst = appendHeadline(dst, status)
	dst = append(dst, "</title></head>\n<body><h1>"...)
	dst = appendHeadline(dst, status)
	dst = append(dst, "</h1>\n<p>"...)
	if detail != "" {
		dst = append(dst, detail...)
		dst = append(dst, "</p>\n<p>"...)
	}
	dst = append(dst, "code "...)
	dst = append(dst, code...)
	if id != "" {
		dst = append(dst, ", request "...)
		dst = appendEscaped(dst, id, FormHTML)
	}
	return append(dst, "</p></body></html>\n"...)
}

func appendText(dst []byte, code, detail string, status int, id string) []byte {
	dst = appendHeadline(dst, status)
	if detail != "" {
		dst = append(dst, ": "...)
		dst = append(dst, detail...)
	}
	dst = append(dst, "\ncode "...)
	dst = append(dst, code...)
	if id != "" {
		dst = append(dst, ", request "...)
		dst = appendEscaped(dst, id, FormText)
	}
	return append(dst, '\n')
}

func appendHeadline(dst []byte, status int) []byte {
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	return append(dst, Title(status)...)
}

// requestIDMax bounds the bytes of a request id that a body repeats.
const requestIDMax = 128

// appendEscaped appends s as text of the form. Request ids are visible ASCII;
// every other byte becomes a question mark, whatever the form.
func appendEscaped(dst []byte, s string, form Form) []byte {
	if len(s) > requestIDMax {
		s = s[:requestIDMax]
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < 0x20 || c > 0x7e:
			dst = append(dst, '?')
		case form == FormJSON && (c == '"' || c == '\\'):
			dst = append(dst, '\\', c)
		case form == FormHTML && (c == '<' || c == '>' || c == '&' || c == '"' || c == '\''):
			dst = append(dst, "&#"...)
			dst = strconv.AppendInt(dst, int64(c), 10)
			dst = append(dst, ';')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// Title returns the words of a status code that this table uses (RFC 9110
// section 15), and "Error" for any other.
func Title(status int) string {
	switch status {
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 413:
		return "Content Too Large"
	case 414:
		return "URI Too Long"
	case 417:
		return "Expectation Failed"
	case 421:
		return "Misdirected Request"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 499:
		return "Client Closed Request"
	}
	return serverTitle(status)
}

func serverTitle(status int) string {
	switch status {
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	return "Error"
}
