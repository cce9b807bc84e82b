# Rules for the benchmarks; the Makefile in the root includes this file.
# BENCH_ARGS goes to the harness: make bench BENCH_ARGS="-scenarios 1k -conns 64"

.PHONY: bench bench-peers bench-h2 bench-tls
bench: build
	go run ./bench/harness $(BENCH_ARGS)

# The peers alone, to learn what the machine and their configurations give.
bench-peers:
	go run ./bench/harness -proxies haproxy,nginx,caddy $(BENCH_ARGS)

# HTTP/2 by h2load, with and without TLS, beside every peer.
bench-h2: build
	go run ./bench/harness -scenarios h2c-16x32,h2c-4x8,h2-16x32,h2-4x8 $(BENCH_ARGS)

# TLS: kept connections, full handshakes, and what idle ones hold.
bench-tls: build
	go run ./bench/harness -scenarios 1k-tls,handshake,idle-tls $(BENCH_ARGS)
