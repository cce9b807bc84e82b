package machine

import "net"

// ListenPacket opens a UDP socket in the machine that the test's process answers on, a name
// server for instance. It is closed when the test ends.
func (m *Machine) ListenPacket(address string) net.PacketConn {
	m.tb.Helper()
	var c net.PacketConn
	var err error
	if nsErr := m.inNetwork(func() error { c, err = net.ListenPacket("udp", address); return nil }); nsErr != nil {
		err = nsErr
	}
	if err != nil {
		m.tb.Fatal(err)
	}
	m.tb.Cleanup(func() { c.Close() })
	return c
}
