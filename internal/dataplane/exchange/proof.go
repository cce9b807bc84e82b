package exchange

import (
	"bytes"

	"sentinel/internal/dataplane/fault"
	"sentinel/internal/dataplane/message"
	"sentinel/internal/dataplane/netio"
)

// proofPath is where an authority asks for the proof of a name; the token comes behind it.
var proofPath = []byte("/.well-known/acme-challenge/")

// answerProof answers an authority that wants to know whether a name is ours. A token that
// isn't of an order under way is a path like any other.
func (x *exchange) answerProof() (answered bool, err error) {
	h := &x.req.Head
	path := h.Bytes(h.Path)
	if !x.s.Proofs || h.Connect || !bytes.HasPrefix(path, proofPath) || h.Method != message.MethodGet && h.Method != message.MethodHead {
		return false, nil
	}
	if !x.count() {
		return true, x.fail(fault.RequestLimit)
	}
	host, token := string(h.Bytes(h.Authority)), string(path[len(proofPath):])
	var text []byte
	netio.Offload(func() error {
		text = x.p.opt.Proof(host, token)
		return nil
	})
	x.look()
	if text == nil {
		x.uncount()
		return false, nil
	}
	x.path, x.matched = path, path
	answer := x.localHead(200)
	answer.Add("Content-Type", proofType)
	answer.Add("Cache-Control", noStore)
	return true, x.send(answer, text)
}

var proofType = []byte("application/octet-stream")
