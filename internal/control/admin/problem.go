package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Problem is the answer to what can't be done. As an error it is what a Client returns.
type Problem struct {
	Status  int      `json:"-"` // of the answer (RFC 9110 section 15)
	Message string   `json:"error"`
	Nearest []string `json:"nearest,omitempty"` // names that are known, the most alike first
}

// Error returns the message.
func (p *Problem) Error() string { return p.Message }

func refuse(w http.ResponseWriter, p *Problem) { reply(w, p.Status, p) }

func badRequest(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// unknown is the problem of a name that isn't among the known ones.
func unknown(what, name string, known []string) *Problem {
	p := &Problem{Status: http.StatusNotFound, Message: fmt.Sprintf("there is no %s %q", what, name), Nearest: nearest(name, known)}
	switch len(p.Nearest) {
	case 0:
		p.Message += ": there is none at all"
	case 1:
		p.Message += fmt.Sprintf(": the nearest name is %q", p.Nearest[0])
	default:
		p.Message += ": the nearest names are " + strings.Join(quoteAll(p.Nearest), ", ")
	}
	return p
}

// Unknown returns the problem of a name that isn't among the known ones of what, a kind of
// block.
func Unknown(what, name string, known []string) *Problem { return unknown(what, name, known) }

func quoteAll(names []string) []string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strconv.Quote(n)
	}
	return quoted
}
