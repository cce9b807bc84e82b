# The two commands of the README: make demo, make test.

.PHONY: build demo test test-short fuzz lint format soak chaos flood websockets restarts packages
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

# Formatting and what static analysis finds. The programs are pinned in tools/lint/go.mod
# and fetched the first time.
LINT := go tool -modfile=tools/lint/go.mod
SOURCES := bench cmd internal test tools
lint:
	@unformatted="$$($(LINT) gofumpt -l $(SOURCES))" || exit 1; \
	if [ -n "$$unformatted" ]; then echo "make format would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	$(LINT) staticcheck ./...

format:
	$(LINT) gofumpt -w $(SOURCES)

# Each fuzz target for half a minute.
fuzz:
	./tools/fuzz.sh 30s

soak: build
	SENTINEL_SOAK=10m go test -timeout 30m -run Soak ./test/system

# Origins that die, hang and lie, one at a time and then all, under a steady load.
CHAOS := 3m
CHAOS_RATE := 2000
chaos:
	SENTINEL_CHAOS=$(CHAOS) SENTINEL_CHAOS_RATE=$(CHAOS_RATE) go test -count=1 -v -timeout 20m -run Chaos ./test/chaos

# Floods of every kind and slow clients, each for so long, beside good clients.
FLOOD := 5s
flood:
	SENTINEL_FLOOD=$(FLOOD) go test -count=1 -v -timeout 20m ./test/flood

# As many WebSockets as the limit of open files allows, 10,000 at most, through 100 reloads.
websockets:
	SENTINEL_WEBSOCKETS=1 go test -count=1 -v -timeout 10m -run WebSockets ./test/system

# Restarts and upgrades under 2,000 requests a second, so many of each, on a machine of their
# own with a real systemd. Wants root.
RESTARTS := 100
restarts:
	SENTINEL_RESTARTS=$(RESTARTS) SENTINEL_CONFORMANCE_REQUIRED=1 go test -count=1 -v -timeout 20m -run UnderLoad ./test/machine

# The .deb and the .rpm of this architecture, into bin/packages.
VERSION := $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//' | grep . || git show -s --date=format:%Y%m%d%H%M --format=0.0.0+%cd.%h)
packages:
	./tools/packages.sh "$(VERSION)" bin/packages

# What testssl.sh says of a listener with TLS and nothing else said; two minutes.
.PHONY: testssl
testssl:
	SENTINEL_TESTSSL=1 go test -count=1 -v -timeout 10m -run Report ./test/tls

include bench/bench.mk
