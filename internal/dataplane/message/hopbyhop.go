package message

import "bytes"

// DropHopByHop marks the fields that concern this connection only, those that
// Connection names included (RFC 9110 section 7.6.1). Connection can't remove a field
// that the proxy itself gives a meaning to.
func (h *Head) DropHopByHop() {
	for i := range h.Fields {
		if h.Fields[i].ID.HopByHop() {
			h.Fields[i].Dropped = true
		}
	}
	if h.ConnectionNames {
		h.dropNamed()
	}
}

func (h *Head) dropNamed() {
	for i := range h.Fields {
		if h.Fields[i].ID != FieldConnection {
			continue
		}
		list := h.FieldValue(i)
		for len(list) > 0 {
			var token []byte
			token, list = NextToken(list)
			h.dropOther(token)
		}
	}
}

func (h *Head) dropOther(name []byte) {
	for i := range h.Fields {
		if h.Fields[i].ID == FieldOther && bytes.EqualFold(h.FieldName(i), name) {
			h.Fields[i].Dropped = true
		}
	}
}
