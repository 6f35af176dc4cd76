package assemble

import (
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/oidc"
)

var update = flag.Bool("update", false, "make the vectors of testdata/oidc anew")

const vectorFolder = "../../../testdata/oidc"

// verdict is what must be said of a token. Without a reason it is accepted.
type verdict struct {
	At       time.Time `json:"at"`
	Reason   string    `json:"reason,omitempty"`
	Username string    `json:"username,omitempty"`
	Subject  string    `json:"subject,omitempty"`
	Groups   []string  `json:"groups,omitempty"`
}

// Each file is judged as `rolecalld oidc inspect` judges it, from the file alone.
func TestTokensOfTestdata(t *testing.T) {
	t.Parallel()
	if *update {
		makeVectors(t)
	}
	files, err := filepath.Glob(filepath.Join(vectorFolder, "*.txtar"))
	if err != nil || len(files) < 25 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir, in := t.TempDir(), map[string][]byte{}
			for _, f := range archive.Files {
				in[f.Name] = f.Data
				if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var want verdict
			if err := json.Unmarshal(in["verdict.json"], &want); err != nil {
				t.Fatal(err)
			}
			judgeVector(t, filepath.Join(dir, "rolecall.yaml"), strings.TrimSpace(string(in["token.jwt"])), want)
		})
	}
}

func judgeVector(t *testing.T, file, token string, want verdict) {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	report, err := OIDCReport(t.Context(), Options{Config: c, Log: slog.New(slog.DiscardHandler), Now: time.Now}, c.Providers[0].Name.Value, oidc.Inspection{Token: token, At: want.At})
	if err != nil {
		t.Fatal(err)
	}
	got := verdict{At: want.At, Reason: report.Reason}
	if id := report.Identity; id != nil {
		got.Username, got.Subject, got.Groups = id.Username, id.Subject, id.Groups
		if len(id.Groups) == 0 {
			got.Groups = nil
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (%s)", diff, report.Detail)
	}
}
