package kernelban

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// entriesMax is how many prefixes the kernel is given; the widest first.
	entriesMax = 20_000
	// leaseMax is how long an entry outlives a process that was killed.
	leaseMax = 15 * time.Minute
	// chunk is how many prefixes go into one message: its length is 16 bits.
	chunk = 400
	// sendBytes is room for all messages of one change.
	sendBytes = 8 << 20
)

const (
	namePrefix  = "sentinel-"
	counterName = "dropped"
	processName = "sentinel"
)

// ErrNotAllowed is a process that may not change tables of the kernel.
var ErrNotAllowed = errors.New("the process lacks CAP_NET_ADMIN")

// table is the table in the kernel.
type table struct {
	conn   *nftables.Conn
	table  *nftables.Table
	b4, b6 *nftables.Set
}

// newTable prepares a table of a name; nothing is in the kernel yet.
func newTable(name string) (*table, error) {
	conn, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		c.SetWriteBuffer(sendBytes) // where that isn't allowed, nothing else is either
		return nil
	}))
	if err != nil {
		return nil, plain(err)
	}
	t := &nftables.Table{Name: name, Family: nftables.TableFamilyINet}
	bans := func(name string, kind nftables.SetDatatype) *nftables.Set {
		return &nftables.Set{Table: t, Name: name, KeyType: kind, Interval: true, HasTimeout: true}
	}
	return &table{conn: conn, table: t, b4: bans("bans4", nftables.TypeIPAddr), b6: bans("bans6", nftables.TypeIP6Addr)}, nil
}

// plain turns a refusal of the kernel into ErrNotAllowed.
func plain(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	return err
}

// install puts the table in place, of one of the same name if there is one, in one step.
func (t *table) install(ports []uint16, list []Ban, now time.Time) error {
	t.conn.AddTable(t.table)
	t.conn.DelTable(t.table)
	t.conn.AddTable(t.table)
	t.conn.AddObj(&nftables.CounterObj{Table: t.table, Name: counterName})
	set := &nftables.Set{Table: t.table, Name: "ports", KeyType: nftables.TypeInetService}
	var elements []nftables.SetElement
	for _, p := range ports {
		elements = append(elements, nftables.SetElement{Key: binary.BigEndian.AppendUint16(nil, p)})
	}
	if err := errors.Join(t.conn.AddSet(set, elements), t.conn.AddSet(t.b4, nil), t.conn.AddSet(t.b6, nil)); err != nil {
		return err
	}
	chain := t.conn.AddChain(&nftables.Chain{
		Name: "input", Table: t.table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	for _, f := range []family{
		{unix.NFPROTO_IPV4, 12, 4, netip.AddrFrom4([4]byte{127, 0, 0, 1}), t.b4},
		{unix.NFPROTO_IPV6, 8, 16, netip.IPv6Loopback(), t.b6},
	} {
		t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: f.rule(set)})
	}
	if err := t.fill(list, now); err != nil {
		return err
	}
	return plain(t.conn.Flush())
}

// replace puts other bans in place of those there are, in one step.
func (t *table) replace(list []Ban, now time.Time) error {
	t.conn.FlushSet(t.b4)
	t.conn.FlushSet(t.b6)
	if err := t.fill(list, now); err != nil {
		return err
	}
	return plain(t.conn.Flush())
}

func (t *table) fill(list []Ban, now time.Time) error {
	var err error
	for len(list) > 0 {
		n := min(chunk, len(list))
		var four, six []nftables.SetElement
		for _, b := range list[:n] {
			if b.Prefix.Addr().Is4() {
				four = append(four, interval(b, now)...)
			} else {
				six = append(six, interval(b, now)...)
			}
		}
		if len(four) > 0 {
			err = errors.Join(err, t.conn.SetAddElements(t.b4, four))
		}
		if len(six) > 0 {
			err = errors.Join(err, t.conn.SetAddElements(t.b6, six))
		}
		list = list[n:]
	}
	return err
}

// interval returns the elements that stand for a ban: its first address and, unless it goes to
// the end of all, the one behind its last.
func interval(b Ban, now time.Time) []nftables.SetElement {
	lease := leaseMax
	if !b.Until.IsZero() {
		lease = min(lease, max(b.Until.Sub(now), time.Millisecond))
	}
	list := []nftables.SetElement{{Key: b.Prefix.Addr().AsSlice(), Timeout: lease}}
	if next := behind(b.Prefix); next.IsValid() {
		list = append(list, nftables.SetElement{Key: next.AsSlice(), IntervalEnd: true})
	}
	return list
}

// behind returns the address behind the last one of p; an invalid one where there is none.
func behind(p netip.Prefix) netip.Addr {
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(last)
	return a.Next()
}

// remove takes the table away.
func (t *table) remove() error {
	t.conn.DelTable(t.table)
	return plain(t.conn.Flush())
}

// dropped returns how many connections the kernel has refused.
func (t *table) dropped() (uint64, error) {
	o, err := t.conn.GetObject(&nftables.CounterObj{Table: t.table, Name: counterName})
	if err != nil {
		return 0, plain(err)
	}
	if c, ok := o.(*nftables.CounterObj); ok {
		return c.Packets, nil
	}
	return 0, errors.New("the kernel's counter is of another kind")
}

// sweep takes away tables that a process of the same state folder has left behind.
func (t *table) sweep(base string) error {
	all, err := t.conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return plain(err)
	}
	left := false
	for _, other := range all {
		pid, err := strconv.Atoi(strings.TrimPrefix(other.Name, base+"-"))
		if err != nil || other.Name == t.table.Name || lives(pid) {
			continue
		}
		t.conn.DelTable(other)
		left = true
	}
	if !left {
		return nil
	}
	return plain(t.conn.Flush())
}

// lives reports whether a process that could be one of ours has that number.
func lives(pid int) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.TrimSpace(string(name)) == processName
}

// family is how packets of IPv4 or IPv6 are read.
type family struct {
	protocol   byte
	at, length uint32 // of the source address in the header
	home       netip.Addr
	bans       *nftables.Set
}

// The part of a TCP header that is looked at (RFC 9293 section 3.1).
const (
	portAt, portBytes = 2, 2
	flagsAt           = 13
	flagsAsked        = 0x17 // FIN, SYN, RST, ACK
	flagsOpening      = 0x02 // SYN
)

// rule returns what drops the first packet of a connection from a banned client.
func (f *family) rule(ports *nftables.Set) []expr.Any {
	equal := func(data ...byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal(f.protocol),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal(unix.IPPROTO_TCP),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flagsAt, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{flagsAsked}, Xor: []byte{0}}, equal(flagsOpening),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: portAt, Len: portBytes},
		&expr.Lookup{SourceRegister: 1, SetName: ports.Name, SetID: ports.ID},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: f.at, Len: f.length},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: f.home.AsSlice()},
		&expr.Lookup{SourceRegister: 1, SetName: f.bans.Name, SetID: f.bans.ID},
		&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: counterName},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}
