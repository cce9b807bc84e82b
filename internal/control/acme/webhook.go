package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// webhookTimeout bounds one call.
const webhookTimeout = 30 * time.Second

// record is what a webhook is told, as JSON.
type record struct {
	Action string `json:"action"` // "present" or "cleanup"
	Name   string `json:"name"`   // of the TXT record, without final dot
	Value  string `json:"value"`
}

// solver proves names by records that a webhook sets.
type solver struct {
	hook   *Webhook
	client *http.Client
}

func newSolver(w *Webhook) *solver {
	refuse := func(*http.Request, []*http.Request) error { return errors.New("webhooks may not redirect") }
	return &solver{hook: w, client: &http.Client{Timeout: webhookTimeout, CheckRedirect: refuse}}
}

// Present has the record set.
func (s *solver) Present(ctx context.Context, c acme.Challenge) error {
	return s.call(ctx, record{"present", c.DNS01TXTRecordName(), c.DNS01KeyAuthorization()})
}

// Wait waits until the authority can see the record.
func (s *solver) Wait(ctx context.Context, _ acme.Challenge) error {
	select {
	case <-time.After(s.hook.Wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CleanUp has the record removed.
func (s *solver) CleanUp(ctx context.Context, c acme.Challenge) error {
	return s.call(ctx, record{"cleanup", c.DNS01TXTRecordName(), c.DNS01KeyAuthorization()})
}

func (s *solver) call(ctx context.Context, r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.hook.URL, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if s.hook.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.hook.Token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	defer response.Body.Close()
	io.CopyN(io.Discard, response.Body, 1<<16) // so that the connection can be used again
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("webhook answered %d", response.StatusCode)
	}
	return nil
}
