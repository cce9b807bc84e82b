# Rules for the benchmarks; the Makefile in the root includes this file.
# BENCH_ARGS goes to the harness: make bench BENCH_ARGS="-scenarios 1k -conns 64"

.PHONY: bench bench-peers
bench: build
	go run ./bench/harness $(BENCH_ARGS)

# The peers alone, to learn what the machine and their configurations give.
bench-peers:
	go run ./bench/harness -proxies haproxy,nginx,caddy $(BENCH_ARGS)
