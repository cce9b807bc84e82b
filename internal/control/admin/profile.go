package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

const (
	// cpuProfile is how long the CPU is profiled.
	cpuProfile = 5 * time.Second
	// profileBytesMax bounds a profile.
	profileBytesMax = 64 << 20
)

// Profiles are what the process can tell of itself to who mends it.
func Profiles() []string { return []string{"goroutine", "heap", "allocs", "mutex", "block", "cpu"} }

// addProfiles lets the API hand out profiles for "go tool pprof"; goroutine is text.
func (s *Server) addProfiles() {
	s.administer("GET /admin/profile", func(w http.ResponseWriter, r *http.Request) {
		kind := r.URL.Query().Get("kind")
		if !slices.Contains(Profiles(), kind) {
			refuse(w, badRequest("there is no profile %q: there are %s", kind, strings.Join(Profiles(), ", ")))
			return
		}
		var text bytes.Buffer
		if err := profile(r.Context(), &text, kind); err != nil {
			refuse(w, &Problem{Status: http.StatusConflict, Message: err.Error()})
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(text.Bytes()) // an error means that the client has gone
	})
}

// profile writes one; that of the CPU takes cpuProfile, and only one can be taken at a time.
func profile(ctx context.Context, w io.Writer, kind string) error {
	switch kind {
	case "goroutine":
		// One line for each stack that several have: to write all of them would stop the
		// process as long as it takes.
		return pprof.Lookup(kind).WriteTo(w, 1)
	case "cpu":
		if err := pprof.StartCPUProfile(w); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
		select {
		case <-time.After(cpuProfile):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return pprof.Lookup(kind).WriteTo(w, 0)
}

// Profile asks for one of Profiles and writes it to w.
func (c *Client) Profile(ctx context.Context, kind string, w io.Writer) error {
	resp, err := c.ask(ctx, http.MethodGet, "/admin/profile?kind="+kind, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, io.LimitReader(resp.Body, profileBytesMax))
	if err == nil && n == profileBytesMax {
		err = fmt.Errorf("the profile %s has more than %d bytes", kind, profileBytesMax)
	}
	if err == nil && n == 0 {
		err = errors.New("the profile is empty")
	}
	return err
}
