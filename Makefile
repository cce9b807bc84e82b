# The two commands of the README: make demo, make test.

.PHONY: build demo test test-short fuzz lint soak
build:
	go build -o bin/ ./cmd/sentinel ./tools/demo-origin

demo: build
	./tools/demo.sh

test:
	go vet ./...
	go test -timeout 20m ./...

# What a change needs while it is being written.
test-short:
	go test -short ./...

# Each fuzz target for half a minute.
fuzz:
	./tools/fuzz.sh 30s

soak: build
	SENTINEL_SOAK=10m go test -timeout 30m -run Soak ./test/system

include bench/bench.mk
