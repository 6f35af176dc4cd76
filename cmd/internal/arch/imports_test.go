package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rolecall/rolecall"

// pkg is one package of ours; paths are relative to the module.
type pkg struct {
	path    string
	doc     string
	imports []string // of ours, not test files
	foreign []string
}

func ours(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var found []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var listed struct {
			ImportPath, Doc  string
			Imports, GoFiles []string
		}
		if err := d.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p := pkg{path: strings.TrimPrefix(listed.ImportPath, module+"/"), doc: listed.Doc}
		if len(listed.GoFiles) == 0 {
			continue
		}
		for _, i := range listed.Imports {
			if rest, ok := strings.CutPrefix(i, module+"/"); ok {
				p.imports = append(p.imports, rest)
			} else {
				p.foreign = append(p.foreign, i)
			}
		}
		found = append(found, p)
	}
	if len(found) < 20 {
		t.Fatalf("go list found %d packages, which cannot be all", len(found))
	}
	return found
}

var (
	services = []string{"broker", "broker/apps", "broker/oauth", "broker/account", "broker/operate", "broker/operate/insight", "broker/operate/gatekeeper"}
	leaves   = []string{"config", "config/secret", "broker/iam"}
	stages   = []string{"broker/policy", "broker/vend", "broker/issuer", "broker/session", "broker/replay",
		"broker/limit", "broker/audit", "broker/keys", "broker/mail", "broker/marks", "broker/devicecode", "broker/revocation"}
)

func under(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

func stageOf(p string) string {
	for _, s := range stages {
		if under(p, s) {
			return s
		}
	}
	return ""
}

// forbidden says why from must not import to, "" where it may.
func forbidden(from, to string) string {
	stage := stageOf(from)
	switch {
	case under(to, "cmd") && !under(from, "cmd"):
		return "nothing imports cmd"
	case under(to, "broker/store/sqlite") && from != "cmd/internal/assemble":
		return "only assemble chooses a store"
	case under(from, "config"):
		if !slices.Contains(leaves, to) {
			return "config is a leaf"
		}
	case from == "idp":
		if to != "config/secret" {
			return "the vocabulary imports std and config/secret"
		}
	case under(from, "idp"):
		if under(to, "broker") {
			return "idp never imports broker"
		}
	case from == "broker/iam":
		if to != "config/secret" {
			return "iam is a leaf"
		}
	case from == "broker/endpoint":
		if !slices.Contains([]string{"broker", "idp", "broker/iam", "config/secret"}, to) {
			return "the edge knows services and vocabulary only"
		}
	case under(from, "broker/endpoint"):
		ok := slices.Contains(services, to) || under(to, "broker/endpoint") ||
			slices.Contains([]string{"idp", "broker/iam", "broker/stswire", "config/secret"}, to)
		if !ok {
			return "an endpoint imports services and vocabulary; it cannot reach policy, vend or a store"
		}
	case stage != "":
		if other := stageOf(to); other != "" && other != stage {
			return "no stage calls another stage"
		}
		if slices.Contains(services, to) || under(to, "broker/endpoint") {
			return "arrows only point down"
		}
	case from == "broker":
		if slices.Contains(services, to) {
			return "broker calls no service"
		}
	case slices.Contains(services, from):
		if to != "broker" && slices.Contains(services, to) {
			return "a service may call broker and no other"
		}
	case under(from, "cmd/rolecall"):
		if under(to, "broker") && to != "broker/iam" {
			return "the CLI has of broker only iam"
		}
	}
	if under(to, "broker/endpoint") && !under(from, "broker/endpoint") && !under(from, "cmd") {
		return "only cmd sees endpoints"
	}
	return ""
}

func TestImportsFollowTheArchitecture(t *testing.T) {
	t.Parallel()
	for _, p := range ours(t) {
		for _, to := range p.imports {
			if why := forbidden(p.path, to); why != "" {
				t.Errorf("%s imports %s: %s", p.path, to, why)
			}
		}
		if p.path == "idp" {
			for _, to := range p.foreign {
				if strings.Contains(to, ".") {
					t.Errorf("%s imports %s: the vocabulary imports std only", p.path, to)
				}
			}
		}
	}
}

// A rule that forbids nothing would let everything pass.
func TestTheRulesForbidWhatTheyShould(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"broker/endpoint/api", "broker/policy"}, {"broker/endpoint/api", "broker/vend"}, {"broker/endpoint/token", "broker/session"},
		{"broker/endpoint/sts", "broker/store/sqlite"}, {"idp/saml", "broker"}, {"idp", "config"}, {"config", "idp"},
		{"broker/policy", "broker/session"}, {"broker/vend", "broker/issuer"}, {"broker", "broker/oauth"}, {"broker/oauth", "broker/account"},
		{"broker/session", "broker"}, {"broker", "broker/endpoint"}, {"cmd/rolecalld", "broker/store/sqlite"},
		{"cmd/rolecall/internal/client", "broker"}, {"broker/iam", "config"}, {"broker/audit", "cmd/internal/assemble"},
	} {
		if forbidden(pair[0], pair[1]) == "" {
			t.Errorf("%s may import %s", pair[0], pair[1])
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, p := range ours(t) {
		if len(p.doc) < 20 {
			t.Errorf("package %s has no doc comment that says what it is for", p.path)
		}
		if name := path.Base(p.path); slices.Contains([]string{"util", "utils", "common", "helpers", "misc"}, name) {
			t.Errorf("package %s: its name says nothing", p.path)
		}
	}
}

func TestImportChainsStayShort(t *testing.T) {
	t.Parallel()
	by := map[string]pkg{}
	for _, p := range ours(t) {
		by[p.path] = p
	}
	depth := map[string]int{}
	var measure func(p string) int
	measure = func(p string) int {
		if d, ok := depth[p]; ok {
			return d
		}
		d := 0
		for _, to := range by[p].imports {
			d = max(d, measure(to)+1)
		}
		depth[p] = d
		return d
	}
	for p := range by {
		if under(p, "cmd/rolecalld") || under(p, "cmd/internal") {
			continue // the wiring stands on top of everything
		}
		if d := measure(p); d > 7 {
			t.Errorf("%s: the chain of our own imports below it is %d long, more than 7", p, d)
		}
	}
}
