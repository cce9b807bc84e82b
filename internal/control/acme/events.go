package acme

import (
	"context"
	"strings"

	"sentinel/internal/observe/event"
)

// onEvent is told of each order that ended.
func (k *Keeper) onEvent(ctx context.Context, name string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	switch name {
	case "cert_obtained":
		go k.obtained(host) // what tells of it may hold locks
	case "cert_failed":
		err, _ := data["error"].(error)
		go k.failed(host, err)
	case "cached_managed_cert":
		go k.showAll()
	}
	return nil
}

func (k *Keeper) showAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cache != nil {
		k.show()
	}
}

// obtained shows clients a certificate that has just been stored.
func (k *Keeper) obtained(host string) {
	config := k.current()
	cert, err := config.CacheManagedCertificate(context.Background(), host)
	if err != nil {
		k.failed(host, err)
		return
	}
	k.mu.Lock()
	delete(k.mu.failed, host)
	for _, n := range k.mu.names[host] {
		n.Replace(&cert.Certificate)
	}
	k.mu.Unlock()
	if k.opt.Count != nil {
		k.opt.Count(true)
	}
	k.opt.Log.Info("certificate obtained", "host", host, "expires", cert.Leaf.NotAfter.UTC().Format("2006-01-02T15:04:05Z"))
	k.record(event.Event{Kind: event.KindCertificate, To: "obtained", Detail: host})
}

// failed tells of an order that came to nothing; certmagic tries again by itself, ever later.
func (k *Keeper) failed(host string, err error) {
	k.mu.Lock()
	_, wanted := k.mu.names[host]
	if wanted {
		k.mu.failed[host] = true
	}
	k.mu.Unlock()
	if !wanted {
		return
	}
	if k.opt.Count != nil {
		k.opt.Count(false)
	}
	cause := "unknown"
	if err != nil {
		cause = strings.Join(strings.Fields(err.Error()), " ")
	}
	k.opt.Log.Error("certificate not obtained", "error", "the order at the authority failed", "host", host, "cause", cause)
	k.record(event.Event{Kind: event.KindCertificate, Worse: true, Cause: "the order at the authority failed", Detail: host + ": " + cause})
}

func (k *Keeper) record(e event.Event) {
	if k.opt.Record != nil {
		k.opt.Record(e)
	}
}
