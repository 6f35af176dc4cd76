# The commands of the repository. `make test` is the one that counts; CI runs it.

GO       ?= go
BIN      := bin
STATIC   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VULN     := golang.org/x/vuln/cmd/govulncheck@v1.9.0
PACKAGES := ./...

.PHONY: all build test deps lint cross vuln unit bench fuzz update clean

all: build

build: ## both binaries, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/rolecalld ./cmd/rolecall

test: deps lint cross unit vuln ## everything

deps: ## what the tests need: a browser and Node.js (installed where this is Debian and root)
	@./.ci/deps

lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet $(PACKAGES)
	$(GO) run $(STATIC) $(PACKAGES)

cross: ## the command line builds wherever people work, without cgo
	@for to in darwin/arm64 windows/amd64; do echo "build cmd/rolecall for $$to"; \
		CGO_ENABLED=0 GOOS=$${to%/*} GOARCH=$${to#*/} $(GO) build -o /dev/null ./cmd/rolecall || exit 1; done

unit: ## all tests under the race detector, fuzz seeds among them
	$(GO) test -race -vet=off -timeout 12m $(PACKAGES) # lint has vetted them

vuln: ## known vulnerabilities, where their database can be reached
	@./.ci/vulncheck $(VULN)

bench: ## ratios beside their ceilings, in one run (docs/performance.md)
	$(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

fuzz: ## every fuzz target for FUZZTIME (default 30s) each
	@for p in $$($(GO) list $(PACKAGES)); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$p || exit 1; done; done

update: ## rewrite golden files; review them as a diff
	$(GO) test $(PACKAGES) -update

clean:
	rm -rf $(BIN)
