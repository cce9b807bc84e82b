package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TopLists are what can be listed by how many requests it has.
func TopLists() []string { return []string{"clients", "routes", "paths", "agents", "faults"} }

const (
	topDefault    = 20
	topMax        = 256
	topWindow     = time.Minute
	topWindowMax  = 5 * time.Minute
	topWindowStep = time.Second
)

// Top is a list of those with most requests in the last while.
type Top struct {
	List    string     `json:"list"`
	Seconds int        `json:"seconds"` // the while
	Total   uint64     `json:"total"`   // requests in it
	Entries []TopEntry `json:"entries"`
}

// TopEntry is one of them. The true count lies between Count-Error and Count.
type TopEntry struct {
	Key   string `json:"key"` // client input where the list holds any: print it escaped
	Cut   bool   `json:"cut,omitempty"`
	Count uint64 `json:"count"`
	Error uint64 `json:"error"`
}

// Talkers know who has most requests.
type Talkers interface {
	// Top returns up to n of one of TopLists over a window of up to five minutes.
	Top(list string, window time.Duration, n int) Top
}

// AddTalkers lets the API show t. It is called before Serve.
func (s *Server) AddTalkers(t Talkers) {
	s.read("GET /admin/top", func(w http.ResponseWriter, r *http.Request) {
		list, window, n, problem := readTop(r)
		if problem != nil {
			refuse(w, problem)
			return
		}
		reply(w, http.StatusOK, t.Top(list, window, n))
	})
}

func readTop(r *http.Request) (list string, window time.Duration, n int, _ *Problem) {
	q := r.URL.Query()
	list, window, n = q.Get("list"), topWindow, topDefault
	if !slices.Contains(TopLists(), list) {
		return "", 0, 0, &Problem{
			Status:  http.StatusBadRequest,
			Message: fmt.Sprintf("there is no list %q: there are %s", list, strings.Join(TopLists(), ", ")),
		}
	}
	if text := q.Get("seconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		window = time.Duration(seconds) * topWindowStep
		if err != nil || window <= 0 || window > topWindowMax {
			return "", 0, 0, &Problem{Status: http.StatusBadRequest, Message: "seconds must be 1 to 300"}
		}
	}
	if text := q.Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n <= 0 || n > topMax {
			return "", 0, 0, &Problem{Status: http.StatusBadRequest, Message: fmt.Sprintf("n must be 1 to %d", topMax)}
		}
	}
	return list, window, n, nil
}
