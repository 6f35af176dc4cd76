package store_test

import (
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker/store"
)

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	steps, err := store.Migrations("sqlite")
	if err != nil || len(steps) == 0 {
		t.Fatal(len(steps), err)
	}
	for i, step := range steps {
		if step.Version != i+1 || strings.TrimSpace(step.SQL) == "" || step.Name == "" {
			t.Errorf("step %d: version %d, %q, %d bytes", i+1, step.Version, step.Name, len(step.SQL))
		}
	}
}

func TestAnUnknownDialectIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := store.Migrations("oracle"); err == nil {
		t.Error("there are migrations")
	}
}
